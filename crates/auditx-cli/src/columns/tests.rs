use super::*;

const LINE: &str = concat!(
    r#"{"seq":42,"id":"i","timestamp":"2026-11-24T15:24:54.123456Z","level":"AUDIT","module":"sales","#,
    r#""action":"POST","description":"Sales invoice posted","user":"admin","entity_type":"sales_invoice","#,
    r#""entity_id":"inv-42","reference_no":"SI-2026-0042","amount":1250000.10,"currency":"MMK","#,
    r#""success":true}"#
);

fn shown(columns: &Columns, line: &str) -> String {
    let mut out = Vec::new();
    columns.row(&Row::read_text(line).unwrap(), None, false, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn columns_depend_on_the_width() {
    let narrow = shown(&Columns::for_width(80, None, false, Zone::UTC), LINE);
    assert_eq!(narrow, "2026-11-24    42  15:24:54  AUDIT     admin       POST      Sales invoice posted\n");
    let usual = shown(&Columns::for_width(120, None, false, Zone::UTC), LINE);
    assert_eq!(
        usual,
        "      42  2026-11-24 15:24:54  AUDIT     admin         sales.POST          \
         Sales invoice posted  SI-2026-0042\n"
    );
    let wide = shown(&Columns::for_width(160, None, false, Zone::UTC), LINE);
    assert_eq!(
        wide,
        "      42  2026-11-24 15:24:54  AUDIT     admin         sales.POST          \
         sales_invoice/inv-42        1250000.10 MMK  Sales invoice posted  SI-2026-0042\n"
    );
}

#[test]
fn headings_are_aligned_with_their_cells() {
    let columns = Columns::for_width(160, None, false, Zone::UTC);
    let mut out = Vec::new();
    columns.heading(&mut out);
    let (heading, row) = (String::from_utf8(out).unwrap(), shown(&columns, LINE));
    for (word, value) in
        [("Level", "AUDIT"), ("Who", "admin"), ("Record", "sales_invoice"), ("What", "Sales")]
    {
        assert_eq!(heading.find(word), row.find(value), "{word}");
    }
    assert_eq!(heading.find("Amount").unwrap() + 6, row.find("MMK").unwrap() + 3);
}

#[test]
fn failed_erased_and_legacy_lines_are_shown() {
    let columns = Columns::for_width(120, None, false, Zone::UTC);
    let failed = shown(&columns, &LINE.replace("\"success\":true", "\"success\":false"));
    assert!(failed.contains("  ✗ Sales invoice posted  SI-2026-0042\n"), "{failed}");
    let erased = shown(&columns, &format!("{{\"seq\":7,\"erased\":\"{}\"}}", "0".repeat(64)));
    assert_eq!(erased.split_whitespace().collect::<Vec<_>>(), ["7", "(erased)"]);
    let legacy =
        shown(&columns, r#"{"timestamp": "2026-11-24T15:24:54+06:30", "description": "d", "user": null}"#);
    assert_eq!(legacy.split_whitespace().collect::<Vec<_>>(), ["2026-11-24", "08:54:54", "d"]);
    let when = shown(&columns, r#"{"timestamp": "yesterday\u001b", "description": "d"}"#);
    assert_eq!(when.split_whitespace().collect::<Vec<_>>(), [r"yesterday\u{1b}", "d"]);
}

#[test]
fn a_type_is_never_shown_as_a_complete_record() {
    let row = Row::read_text(LINE).unwrap();
    for (width, shown) in [
        (20, "sales_invoice/inv-42"),
        (17, "sales_invoice/in…"),
        (14, "sales_invoice…"),
        (13, "sales_invoi…"),
    ] {
        let mut out = Vec::new();
        let used = joined(&row, Field::EntityType, b'/', Field::EntityId, width, &mut out);
        assert_eq!((String::from_utf8(out).unwrap().as_str(), used), (shown, shown.chars().count()));
    }
}

#[test]
fn no_row_is_wider_than_the_width() {
    let long = LINE
        .replace("admin", &"日本語".repeat(30))
        .replace("Sales invoice posted", &"long ".repeat(900))
        .replace("inv-42", &"x".repeat(200));
    for width in [72, 80, 100, 120, 150, 160, 250] {
        let row = shown(&Columns::for_width(width, None, false, Zone::UTC), &long);
        let day = if width < 100 { 10 } else { 0 };
        assert_eq!(columns_of(row.trim_end()), usize::from(width) + day, "{row}");
    }
    let million = LINE.replace("\"seq\":42", "\"seq\":1234567890123");
    for width in [72, 80, 100, 160] {
        let row = shown(
            &Columns::for_width(width, None, false, Zone::UTC),
            &million.replace("Sales", &"long ".repeat(90)),
        );
        let day = if width < 100 { 10 } else { 0 };
        assert!(columns_of(row.trim_end()) <= usize::from(width) + day, "{row}");
    }
}

fn columns_of(line: &str) -> usize {
    line.chars().filter_map(unicode_width::UnicodeWidthChar::width).sum()
}

#[test]
fn on_a_narrow_terminal_entries_take_several_lines() {
    let entry = |width| {
        let text = shown(&Columns::for_width(width, None, false, Zone::UTC), LINE);
        text.replace("2026-11-24", "")
    };
    assert_eq!(
        entry(40),
        "42 15:24:54 AUDIT admin POST\n  Sales invoice posted\n  SI-2026-0042  sales_invoice/inv-42\n"
    );
    assert_eq!(entry(20), "42 15:24:54 admin\n  Sales invoice\n  posted\n  SI-2026-0042\n");
    let erased = format!("{{\"seq\":7,\"erased\":\"{}\"}}", "0".repeat(64));
    assert_eq!(
        shown(&Columns::for_width(40, None, false, Zone::UTC), &erased).replace("          ", ""),
        "7 \n  (erased)\n"
    );
    let failed = LINE.replace("\"success\":true", "\"success\":false");
    assert!(
        shown(&Columns::for_width(40, None, false, Zone::UTC), &failed)
            .contains("  ✗ Sales invoice posted\n")
    );
}

#[test]
fn wide_and_combining_characters_fit_every_width() {
    for text in [
        "日本語の説明文です".repeat(9),
        "ရောင်းချမှု ပယ်ဖျက်သည်".repeat(9),
        "👍🏽👨\u{200d}👩\u{200d}👧 ok ".repeat(20),
        "e\u{301}".repeat(300),
    ] {
        let line = LINE
            .replace("Sales invoice posted", &text)
            .replace("admin", &text[..text.char_indices().nth(30).unwrap().0]);
        for width in [20, 21, 40, 41, 60, 71, 72, 80, 200] {
            for has_colours in [false, true] {
                let columns = Columns::for_width(width, None, has_colours, Zone::UTC);
                let shown = shown(&columns, &line);
                let mut out = Vec::new();
                Days::default().pass(shown.as_bytes(), false, &mut out);
                let rows = if columns.has_days() { String::from_utf8(out).unwrap() } else { shown };
                let rows = anstream::adapter::strip_str(&rows).to_string();
                for row in rows.lines() {
                    assert!(columns_of(row) <= usize::from(width), "{width}: {row}");
                }
                let prefix: String = text.chars().take(2).collect();
                assert!(rows.matches(&prefix).count() >= 1, "{width}: no description: {rows}");
            }
        }
    }
}

#[test]
fn fields_that_do_not_fit_in_a_row_get_lines() {
    let fields = ["seq", "user", "description", "amount", "entity_id"].map(|name| name.parse().unwrap());
    let narrow = shown(&Columns::of_fields(&fields, 40, None, false, Zone::UTC), LINE);
    assert_eq!(
        narrow,
        "seq: 42\nuser: admin\ndescription: Sales invoice posted\namount: 1250000.10\nentity_id: inv-42\n\n"
    );
    let narrower = shown(&Columns::of_fields(&fields, 20, None, false, Zone::UTC), LINE);
    assert!(narrower.contains("description:\n  Sales invoice pos…\n"), "{narrower}");
    assert!(narrower.lines().all(|line| columns_of(line) <= 20), "{narrower}");
    let two = shown(&Columns::of_fields(&fields[..2], 40, None, false, Zone::UTC), LINE);
    assert_eq!(two.lines().count(), 1);
}

#[test]
fn selected_fields_share_the_width() {
    let fields = ["seq", "user", "metadata.party", "amount"].map(|name| name.parse().unwrap());
    let columns = Columns::of_fields(&fields, 60, None, false, Zone::UTC);
    let line = LINE.replace("\"success\"", "\"metadata\":{\"party\":\"Golden Trading Co.\"},\"success\"");
    assert_eq!(shown(&columns, &line), "      42  admin             Golden Trading …      1250000.10\n");
    let many: Vec<_> = ["id", "timestamp", "user", "action"].map(|name| name.parse().unwrap()).into();
    let row = shown(&Columns::of_fields(&many, 60, None, false, Zone::UTC), &line);
    assert!(row.chars().count() <= 61, "{row}");
}

#[test]
fn padding_is_not_coloured() {
    let row = shown(&Columns::for_width(120, None, true, Zone::UTC), LINE);
    assert!(row.contains("\u{1b}[32mAUDIT\u{1b}[0m     admin"), "{row:?}");
    let plain = anstream::adapter::strip_str(&row).to_string();
    assert_eq!(plain, shown(&Columns::for_width(120, None, false, Zone::UTC), LINE));
}

#[test]
fn a_day_is_shown_once_for_its_rows() {
    let mut days = Days::default();
    let mut out = Vec::new();
    days.pass(b"2026-11-24one\n2026-11-24two\n2026-11-25", false, &mut out);
    days.pass(b"2026-11-25four\n", false, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "2026-11-24\none\ntwo\n2026-11-25\nfour\n");
}

#[test]
fn an_entry_in_several_lines_has_the_trail_in_a_line_of_its_own() {
    let with = |trail: Option<&str>| {
        let columns = Columns::for_width(40, trail.map(str::len), false, Zone::UTC);
        let mut out = Vec::new();
        columns.row(&Row::read_text(LINE).unwrap(), trail, false, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(with(Some("worker-1")), format!("2026-11-24worker-1\n{}", with(None)));
}

#[test]
fn the_trail_is_the_first_column() {
    let columns = Columns::for_width(80, Some("tenant/worker-1".len()), false, Zone::UTC);
    let mut out = Vec::new();
    columns.row(&Row::read_text(LINE).unwrap(), Some("tenant/worker-1"), false, &mut out);
    let row = String::from_utf8(out).unwrap();
    assert_eq!(
        row,
        "2026-11-24tenant/work…      42  15:24:54  AUDIT     admin       POST      Sales invoice p…\n"
    );
}
