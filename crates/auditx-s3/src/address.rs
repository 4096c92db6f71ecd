//! Parses the address of a bucket: `s3://[key:secret@]bucket[/prefix][?region=R&endpoint=URL]`.

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The access key and its secret; `None` to take them from the environment.
    pub(crate) key: Option<(String, String)>,
    pub(crate) bucket: String,
    /// The prefix without leading and trailing slashes; may be empty.
    pub(crate) prefix: String,
    pub(crate) region: Option<String>,
    /// The endpoint of a store other than Amazon's.
    pub(crate) endpoint: Option<String>,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("s3://")
            .ok_or_else(|| Error::refused("invalid address: expected s3://bucket/prefix"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (key, place) = match place.rsplit_once('@') {
            Some((key, place)) => {
                let (key, secret) = key
                    .split_once(':')
                    .ok_or_else(|| Error::refused("the address contains an access key without its secret"))?;
                (Some((decoded(key), decoded(secret))), place)
            }
            None => (None, place),
        };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(Error::refused("the address contains no bucket"));
        }
        let prefix = prefix.trim_matches('/').to_owned();
        let mut address = Self { key, bucket: bucket.to_owned(), prefix, region: None, endpoint: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value);
            match key {
                "region" => address.region = Some(value),
                "endpoint" => address.endpoint = Some(value),
                _ => {
                    return Err(Error::refused(format!(
                        "unknown parameter {key:?} in the address: expected region or endpoint"
                    )));
                }
            }
        }
        Ok(address)
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_contains_a_bucket_and_a_prefix() {
        let address =
            Address::parse("s3://audit/erp/main/?endpoint=http%3A//127.0.0.1:9000&region=eu").unwrap();
        assert_eq!((address.bucket.as_str(), address.prefix.as_str()), ("audit", "erp/main"));
        assert_eq!(address.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(address.region.as_deref(), Some("eu"));
        assert_eq!(Address::parse("s3://audit").unwrap().prefix, "");
        let key = Address::parse("s3://erp:s%2Fcret@audit/x").unwrap().key;
        assert_eq!(key, Some(("erp".to_owned(), "s/cret".to_owned())));
        for (url, why) in [("http://x", "s3://"), ("s3://", "no bucket"), ("s3://a?x=1", "unknown parameter")]
        {
            assert!(Address::parse(url).unwrap_err().to_string().contains(why), "{url}");
        }
    }

    #[test]
    fn the_debug_form_of_a_handle_is_short_and_shows_no_secret() {
        let url = "s3://key:secret@audit/erp?region=us-east-1&endpoint=http://127.0.0.1:9";
        let shown = [
            format!("{:?}", crate::S3::new(url).unwrap()),
            format!("{:?}", crate::S3Copy::open(url).unwrap()),
        ];
        assert_eq!(shown, ["S3 { id: \"s3-audit-erp\", .. }", "S3Copy { .. }"]);
    }
}
