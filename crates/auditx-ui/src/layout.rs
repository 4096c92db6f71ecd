//! What all pages have in common.

use std::borrow::Cow;
use std::fmt::Write as _;

use maud::{DOCTYPE, Markup, html};

use crate::assets::Script;

/// The frame of a page without navigation.
pub(crate) fn bare(base: &str, title: &str, content: Markup) -> Markup {
    framed(base, title, &html! {}, &content, &[])
}

/// The frame of a page that runs these scripts. `end` is the part of the header after the name.
pub(crate) fn framed(base: &str, title: &str, end: &Markup, content: &Markup, scripts: &[&Script]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (visible(title)) " · auditx" }
                link rel="stylesheet" href=(format!("{base}/assets/dashboard.css"));
                link rel="icon" href="data:,";
                // A module has its own scope, and runs once the page is parsed.
                @for script in scripts {
                    @let source = format!("{base}{}", script.path);
                    script type="module" src=(source) integrity=(script.integrity()) {}
                }
            }
            body {
                header {
                    span.name { "auditx" }
                    (end)
                }
                main { (content) }
            }
        }
    }
}

/// Returns the path of the trail's page. A nested router has its root at the prefix itself, without a slash.
pub(crate) fn home(base: &str) -> &str {
    if base.is_empty() { "/" } else { base }
}

/// Makes control characters and those that change the direction of text visible, so that no text can pretend
/// to be another. Markup is escaped by the templates.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_hidden(character) {
            // Writing to a string cannot fail.
            let _ok = write!(shown, "\\u{{{:x}}}", u32::from(character)).is_ok();
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}')
        || matches!(character, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_hides_or_reorders_characters_is_shown_as_it_is() {
        assert_eq!(visible("Golden Trading \u{1019}\u{103c}"), "Golden Trading \u{1019}\u{103c}");
        assert_eq!(visible("a\u{202e}gpj.exe\u{0}\n"), "a\\u{202e}gpj.exe\\u{0}\\u{a}");
    }
}
