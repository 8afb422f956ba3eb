//! Owns the status page: plain HTML without outside assets or scripts, every value escaped.

use crate::status::Status;
use std::fmt::Write;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #8884}\
code{overflow-wrap:anywhere}.bad{color:#b00020;font-weight:bold}@media(prefers-color-scheme:dark){body{background:#111;\
color:#eee}.bad{color:#ff8a80}}";

/// Renders the page.
pub(super) fn render(status: &Status, unready: &[String]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"10\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>sandsift {}</title><style>{STYLE}</style>\
         <h1>Sandsift worker <code>{}</code></h1>",
        escape(status.version),
        escape(&status.worker)
    );
    if unready.is_empty() {
        page.push_str("<p>Ready.</p>");
    }
    for reason in unready {
        let _ = write!(page, "<p class=\"bad\">Not ready: {}</p>", escape(reason));
    }
    let _ = write!(
        page,
        "<table><tr><th scope=\"row\">Version<td>{}<tr><th scope=\"row\">Broker<td>{}<tr><th scope=\"row\">Rules<td>{} \
         <code>{}</code><tr><th scope=\"row\">Slots<td>{} of {} busy</table>",
        escape(status.version),
        escape(&status.broker),
        status.ruleset.rules,
        escape(&status.ruleset.digest),
        status.running.len(),
        status.slots
    );
    page.push_str("<h2>Working on</h2><table><tr><th>Completion<th>Platform<th>Seconds");
    for busy in &status.running {
        let (id, platform) = (escape(&busy.completion), escape(&busy.platform));
        let _ = write!(page, "<tr><td><code>{id}</code><td>{platform}<td>{:.1}", busy.seconds);
    }
    page.push_str("</table><h2>Last analyses</h2><table><tr><th>Completion<th>Platform<th>Critical<th>High<th>Medium<th>Low<th>Time");
    for done in &status.analysed {
        let stats = &done.stats;
        let _ = write!(
            page,
            "<tr><td><code>{}</code><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            escape(&done.completion),
            escape(&done.platform),
            stats.critical,
            stats.high,
            stats.medium,
            stats.low,
            done.time
        );
    }
    page.push_str("</table><h2>Last errors</h2><table><tr><th>Code<th>Detail<th>Time");
    for error in &status.errors {
        let (code, detail) = (escape(&error.code), escape(&error.detail));
        let _ = write!(page, "<tr><td>{code}<td><code>{detail}</code><td>{}", error.time);
    }
    page.push_str("</table></html>\n");
    page
}

/// Text as HTML shows it: markup is text, and control characters, with those that turn the direction of writing, are
/// written out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                escaped.extend(character.escape_unicode());
            }
            control if control.is_control() => escaped.extend(control.escape_default()),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(escape("<script>alert('x')</script>"), "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
        assert_eq!(escape("a\u{1b}[31m\u{202e}b"), "a\\u{1b}[31m\\u{202e}b");
    }
}
