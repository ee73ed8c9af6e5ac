//! HTML of names, numbers and tables.
//!
//! Owns escaping: every text of data, models and files goes through [`text`] or [`fragment`] on its way into a page.

use std::fmt::Write;

use crate::escape::visible;

/// A text for an element or a quoted attribute, with the marks that turn or hide writing made visible.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The fragment of an address in the page, from names and values.
pub fn fragment(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| format!("{name}={}", percent(value));
    format!("#{}", fields.iter().map(field).collect::<Vec<_>>().join("&"))
}

/// As JavaScript's `encodeURIComponent`, which reads it back.
fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(byte)),
            // Writing to a String does not fail.
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// JSON for an element of the page: nothing in it ends the element.
pub fn json(value: &impl serde::Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(value)?
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}

/// Columns from which a table is wide: on a narrow screen each of its rows is a list, and its cells say what they are.
const WIDE: usize = 6;

/// A table: its caption, its head, and rows of cells that are HTML. The first `names` columns are texts, the others numbers.
pub fn table(caption: &str, head: &[&str], names: usize, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut out = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table{1}><caption>{0}</caption><thead><tr>",
        text(caption),
        if head.len() < WIDE { "" } else { " class=\"wide\"" }
    );
    for (i, cell) in head.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", if i < names { "" } else { " class=\"n\"" }, text(cell));
    }
    out += "</tr></thead><tbody>";
    for row in rows {
        out += "<tr>";
        for (i, cell) in row.iter().enumerate() {
            let label = head.get(i).filter(|_| head.len() >= WIDE);
            let label = label.map(|label| format!(" data-label=\"{}\"", text(label))).unwrap_or_default();
            let _ = write!(out, "<td{}{label}>{cell}</td>", if i < names { "" } else { " class=\"n\"" });
        }
        out += "</tr>";
    }
    out + "</tbody></table></div>\n"
}

#[cfg(test)]
mod tests {
    use super::{fragment, json, text};

    #[test]
    fn nothing_of_a_name_is_markup() {
        let name = "</script><img onerror=\"x()\" '&\u{202e}\u{2028}$x$";
        let expected = "&lt;/script&gt;&lt;img onerror=&quot;x()&quot; &#39;&amp;\\u{202e}\\u{2028}$x$";
        assert_eq!(text(name), expected);
        assert_eq!(fragment(&[("t", "a&b=\"é")]), "#t=a%26b%3D%22%C3%A9");
        let json = json(&name).unwrap();
        assert!(!json.contains('<') && !json.contains('\u{2028}'), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), name);
    }
}
