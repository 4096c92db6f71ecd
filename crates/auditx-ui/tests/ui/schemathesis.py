"""Values of the formats that the description names but does not spell out."""

import schemathesis
from hypothesis import strategies as st

words = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)
quoted = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
terms = st.one_of(
    words.map(str.lower),
    quoted,
    st.builds("{}:{}".format, st.sampled_from(["user", "level", "request", "text"]), quoted),
    st.sampled_from(["amount:>100", "status:500..599", "success:false"]),
    st.sampled_from(["entity:customer/CUST-220", "changed:*", "time:today", "seq:2.."]),
)
negated = st.builds("{}{}".format, st.sampled_from(["", "-"]), terms)
joined = st.lists(negated, min_size=1, max_size=4).flatmap(
    lambda all: st.sampled_from([" ", " OR ", " AND "]).map(lambda between: between.join(all))
)
times = st.one_of(
    st.sampled_from(["", "now", "today", "yesterday", "2h", "1h30m", "07:00"]),
    st.sampled_from(["2026-11-29 07:00", "2026-11", "2026", "1795533894"]),
    st.dates().map(str).filter(lambda day: day >= "1000"),
    st.datetimes().filter(lambda time: time.year >= 1000).map(lambda time: time.isoformat() + "+06:30"),
)
cursors = st.one_of(
    st.just(""),
    st.integers(0, 2**64 - 1).map("seq:{}".format),
    st.integers(0, 2**64 - 1).map("byte:{}:audit.jsonl".format),
)

schemathesis.openapi.format("auditx-query", st.one_of(st.just(""), joined))
schemathesis.openapi.format("auditx-time", times)
schemathesis.openapi.format("auditx-zone", st.sampled_from(["", "UTC", "utc", "Asia/Yangon", "+06:30"]))
schemathesis.openapi.format("auditx-cursor", cursors)
schemathesis.openapi.format("auditx-trail", st.just(""))
