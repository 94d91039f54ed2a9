//! Words in Markdown: whatever somebody wrote is shown as they wrote it and does nothing.

use std::fmt::Write as _;

use crate::domain::foreign::sanitise;

/// Text within a line: no mark-up, no HTML, no link and no mention comes of it.
pub(super) fn words(text: &str) -> String {
    let text = sanitise(text);
    let mut safe = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(char) = chars.next() {
        let last = std::mem::replace(&mut before, char);
        match char {
            // Within a word it is no mark-up, and names are easier to read without backslashes.
            '_' if last.is_ascii_alphanumeric() && chars.peek().is_some_and(char::is_ascii_alphanumeric) => {
                safe.push('_');
            }
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            // A backslash would not stop hosts from making a mention of somebody of what follows.
            '@' => safe.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '$' => {
                safe.push('\\');
                safe.push(char);
            }
            char => safe.push(char),
        }
    }
    // What makes a list or a heading of the line that it begins.
    let digits = safe.bytes().take_while(u8::is_ascii_digit).count();
    if safe.starts_with(['-', '+', '=']) {
        safe.insert(0, '\\');
    } else if digits > 0 && safe.get(digits..).is_some_and(|rest| rest.starts_with(['.', ')'])) {
        safe.insert(digits, '\\');
    }
    // Hosts make links of these by themselves.
    safe.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// Text as code in a cell of a table.
pub(super) fn code(text: &str) -> String {
    let text = sanitise(text).trim().replace('|', "\\|");
    if text.is_empty() {
        return "—".to_owned();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    format!("{fence} {text} {fence}")
}

/// Text as a block of code; its lines stay lines.
pub(super) fn block(language: &str, text: &str) -> String {
    // Indents say what belongs to what.
    let line = |line: &str| {
        format!(
            "{}{}",
            " ".repeat(line.len() - line.trim_start_matches(' ').len()),
            sanitise(line.trim_start_matches(' '))
        )
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    let text = lines.join("\n");
    let fence = "`".repeat((longest_run(&text) + 1).max(3));
    format!("{fence}{language}\n{text}\n{fence}\n")
}

fn longest_run(text: &str) -> usize {
    text.split(|char| char != '`').map(str::len).max().unwrap_or(0)
}

/// A table of cells that are Markdown already; of numbers the columns from `numbers` on.
pub(super) fn table(head: &[&str], numbers: usize, rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    let rule = head.iter().enumerate().map(|(at, _)| if at < numbers { "---" } else { "---:" });
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let _ = writeln!(text, "| {} |", rule.collect::<Vec<_>>().join(" | "));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Options, Parser, Tag, html};

    use super::*;

    const EVIL: [&str; 12] = [
        "<script>alert(1)</script>",
        "a | b || c",
        "`code` and ``more`` and ```",
        "two\nlines\r\n\n# heading",
        "[click](http://evil.example) ![x](http://evil.example/x.png)",
        "https://evil.example www.evil.example me@evil.example @team",
        "**bold** _it_ ~~gone~~ $x$ a_b_c _a_b_ __x__",
        "\\| \\` \\\\",
        "&lt;b&gt; &amp; &#60;",
        "</td></table><img src=x onerror=alert(1)>",
        "- item\n1. one",
        "\u{1b}[31mred\u{202e}",
    ];

    fn events(text: &str) -> Vec<Event<'_>> {
        Parser::new_ext(text, Options::all()).collect()
    }

    /// All words of a text as a reader sees them.
    fn read(text: &str) -> String {
        events(text)
            .into_iter()
            .filter_map(|event| match event {
                Event::Text(text) | Event::Code(text) => Some(text.into_string()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn foreign_words_are_read_as_they_were_written_and_do_nothing() {
        for evil in EVIL {
            let safe = sanitise(evil);
            let wanted = safe.trim();
            for (written, lead) in [(words(evil), words(evil)), (code(evil), "it says".to_owned())] {
                // At the beginning of a paragraph, and in a cell of a table.
                let text = format!("{lead} and\n\n| a | b |\n| --- | --- |\n| {written} | second |\n");
                let shown = read(&text);
                let times = if lead == written { 2 } else { 1 };
                assert_eq!(shown.matches(wanted).count(), times, "{evil:?}\n{text}\n{shown}");
                assert!(shown.ends_with("second"), "{evil:?} breaks the table\n{text}");
                let live = events(&text).into_iter().find(|event| {
                    matches!(
                        event,
                        Event::Html(_)
                            | Event::InlineHtml(_)
                            | Event::HardBreak
                            | Event::InlineMath(_)
                            | Event::Start(
                                Tag::Link { .. }
                                    | Tag::Image { .. }
                                    | Tag::Heading { .. }
                                    | Tag::List(_)
                                    | Tag::Emphasis
                                    | Tag::Strong
                                    | Tag::Strikethrough
                                    | Tag::HtmlBlock
                                    | Tag::CodeBlock(_)
                            )
                    )
                });
                assert_eq!(live, None, "{evil:?}\n{text}");
                let mut html = String::new();
                html::push_html(&mut html, Parser::new_ext(&text, Options::all()));
                assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("href"), "{html}");
                // Not in code either: what makes links and mentions beside the standard reads the text itself.
                assert!(!words(evil).contains("://") && !words(evil).contains('@') && !words(evil).contains("www."));
            }
        }
    }

    #[test]
    fn blocks_end_where_they_should() {
        let text = format!("{}\nafter\n", block("sql", "select '```';\n````\n    <script>"));
        let shown = read(&text);
        assert!(shown.contains("select '```';\n````\n    <script>"), "{shown}");
        assert!(shown.ends_with("after"), "{shown}");
    }

    #[test]
    fn tables_are_tables() {
        let text = table(&["a", "b"], 1, &[vec!["x".into(), "1".into()]]);
        assert_eq!(text, "| a | b |\n| --- | ---: |\n| x | 1 |\n\n");
    }
}
