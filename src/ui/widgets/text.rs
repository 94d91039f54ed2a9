//! Text that fits: measured in cells of the terminal, cut at characters, never inside a wide one.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Cells that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most so many cells, with `…` where it was cut.
pub(crate) fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for cluster in text.graphemes(true) {
        let wide = width(cluster);
        if used + wide + 1 > room {
            break;
        }
        used += wide;
        out.push_str(cluster);
    }
    if room > 0 {
        out.push('…');
    }
    out
}

/// The text in exactly so many cells, at the left.
pub(crate) fn fit(text: &str, room: usize) -> String {
    let mut out = cut(text, room);
    out.extend(std::iter::repeat_n(' ', room.saturating_sub(width(&out))));
    out
}

/// The text in exactly so many cells, at the right.
pub(crate) fn right(text: &str, room: usize) -> String {
    let cut = cut(text, room);
    format!("{}{cut}", " ".repeat(room.saturating_sub(width(&cut))))
}

/// The end of a text in at most so many cells.
pub(crate) fn tail(text: &str, room: usize) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut used = 0;
    for cluster in text.graphemes(true).rev() {
        if used + width(cluster) > room {
            break;
        }
        used += width(cluster);
        kept.push(cluster);
    }
    kept.into_iter().rev().collect()
}

/// A name in at most so many cells: of one that does not fit the beginning gives way, because names of many things begin alike.
pub(crate) fn end(name: &str, room: usize) -> String {
    if width(name) <= room { name.to_owned() } else { format!("…{}", tail(name, room.saturating_sub(1))) }
}

/// The text in lines of at most so many cells, broken at spaces where that is possible.
pub(crate) fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let wide = width(word);
        if used > 0 && used + 1 + wide > room {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        if wide <= room {
            line.push_str(word);
            used += wide;
            continue;
        }
        for cluster in word.graphemes(true) {
            let wide = width(cluster);
            if used + wide > room && used > 0 {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push_str(cluster);
            used += wide;
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// A statement in lines of at most so many cells, its own lines kept apart: never broken inside a literal, so that what is picked off the screen
/// with a mouse says the same.
pub(crate) fn wrap_statement(text: &str, room: usize) -> Vec<String> {
    text.lines().flat_map(|line| wrap_line(line, room)).collect()
}

fn wrap_line(text: &str, room: usize) -> Vec<String> {
    const GLUE: char = '\u{a0}';
    let mut literal = false;
    let glued: String = text
        .chars()
        .map(|char| {
            literal ^= char == '\'';
            if literal && char == ' ' { GLUE } else { char }
        })
        .collect();
    wrap(&glued, room).into_iter().map(|line| line.replace(GLUE, " ")).collect()
}

/// The text in at most so many lines; the last ends in `…` when there was more.
pub(crate) fn wrap_in(text: &str, room: usize, lines: usize) -> Vec<String> {
    let mut wrapped = wrap(text, room);
    if wrapped.len() > lines.max(1) {
        wrapped.truncate(lines.max(1));
        if let Some(last) = wrapped.last_mut() {
            *last = cut(&format!("{last} …"), room);
            if !last.ends_with('…') {
                last.push('…');
            }
        }
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_are_never_halved() {
        assert_eq!(cut("顧客顧客", 5), "顧客…");
        assert_eq!(cut("顧客顧客", 4), "顧…");
        assert_eq!(cut("顧客", 4), "顧客");
        assert_eq!(fit("顧客顧", 4), "顧… ");
        assert_eq!(
            (cut("abc", 0), cut("abc", 1), right("ab", 4), tail("abcd", 2)),
            (String::new(), "…".into(), "  ab".into(), "cd".into())
        );
    }

    #[test]
    fn words_wrap_at_spaces_and_long_ones_break() {
        assert_eq!(wrap("who hurts whom", 9), ["who hurts", "whom"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap_in("who hurts whom now", 9, 1), ["who hurt…"]);
    }

    #[test]
    fn statements_break_outside_their_literals() {
        assert_eq!(wrap_statement("a = 'b c d' AND e", 8), ["a =", "'b c d'", "AND e"]);
        assert_eq!(wrap_statement("a = 'it''s me';", 12), ["a =", "'it''s me';"]);
        let elsewhere = "\\connect \"db\"\nVACUUM app.orders;";
        assert_eq!(wrap_statement(elsewhere, 30), ["\\connect \"db\"", "VACUUM app.orders;"], "its own lines stay");
        assert_eq!(wrap_statement("DROP ROLE \"o'brien\";", 9), ["DROP ROLE", "\"o'brien\"", ";"]);
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_ever_wider_than_its_room(text in "\\PC{0,60}", room in 0usize..20) {
            proptest::prop_assert!(width(&cut(&text, room)) <= room);
            proptest::prop_assert!(width(&tail(&text, room)) <= room);
        }
    }
}
