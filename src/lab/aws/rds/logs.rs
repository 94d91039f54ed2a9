//! The server's real logs, as RDS hands them out.

use std::sync::Arc;

use super::{listed, no_instance, paged, required};
use crate::lab::aws::core::Core;
use crate::lab::aws::journal::{self, LogFile};
use crate::lab::aws::wire::{Answer, Fields, Input, Refusal};

/// RDS hands out no more lines than this at a time, and no more bytes.
const LINES: usize = 10_000;
const BYTES: usize = 1 << 20;

fn files(core: &Core, region: &str, input: &Input) -> Result<Vec<LogFile>, Refusal> {
    let id = required(input, "DBInstanceIdentifier")?;
    let instance = core.state().region(region).instances.get(&id.to_ascii_lowercase()).cloned();
    let instance = instance.ok_or_else(|| no_instance(id))?;
    let machine = instance.machine.ok_or_else(|| {
        Refusal::new("DBInstanceNotReady", format!("{id} is not ready for log download: {}.", instance.status))
    })?;
    Ok(journal::files(&machine.logs))
}

pub fn list(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    listed(input, &["DBInstanceIdentifier", "FileLastWritten", "FileSize", "FilenameContains"])?;
    super::filters(input, &[])?;
    let contains = input.filled("FilenameContains");
    let since = input.int("FileLastWritten").unwrap_or(0);
    let least = input.int("FileSize").unwrap_or(0);
    let found = files(core, region, input)?
        .into_iter()
        .filter(|it| contains.is_none_or(|part| it.name.contains(part)))
        .filter(|it| it.written.as_millisecond() >= since && it.size.cast_signed() >= least)
        .map(|it| {
            Fields::new()
                .with("LogFileName", it.name)
                .with("LastWritten", it.written.as_millisecond())
                .with("Size", it.size)
        })
        .collect();
    paged(input, "DescribeDBLogFiles", "DescribeDBLogFilesDetails", found)
}

pub fn download(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    super::only(input, &["DBInstanceIdentifier", "LogFileName", "Marker", "NumberOfLines"])?;
    let name = required(input, "LogFileName")?;
    let all = files(core, region, input)?;
    let file = all.iter().find(|it| it.name == name);
    let missing =
        || Refusal::missing("DBLogFileNotFoundFault", format!("DBLog File: {name} is not found on the DB instance"));
    let text = file.and_then(|it| std::fs::read(&it.path).ok()).ok_or_else(missing)?;
    let most = input.int("NumberOfLines").map_or(LINES, |lines| (lines.clamp(1, 9_999)) as usize);
    // A marker is a place in a file of this name. Without one, the newest lines are wanted.
    let start = match input.filled("Marker") {
        None => last_lines(&text, most),
        Some("0") => 0,
        Some(marker) => {
            let place = marker.rsplit(':').next().and_then(|place| place.parse::<usize>().ok());
            let place = place.filter(|place| *place <= text.len());
            place.ok_or_else(|| super::invalid(format!("Invalid Marker: {marker}")))?
        }
    };
    let mut end = start;
    for line in text[start..].split_inclusive(|byte| *byte == b'\n').take(most) {
        if end > start && end - start + line.len() > BYTES {
            break;
        }
        end += line.len();
    }
    Ok(Fields::new()
        .with("LogFileData", String::from_utf8_lossy(&text[start..end]).into_owned())
        .with("Marker", format!("0:{end}"))
        .with("AdditionalDataPending", end < text.len()))
}

fn last_lines(text: &[u8], most: usize) -> usize {
    let ends = text.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1);
    // The end of the last line is no beginning of one.
    ends.filter(|place| *place < text.len()).nth(most.saturating_sub(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_newest_lines_are_the_last() {
        let text = b"one\ntwo\nthree\n";
        assert_eq!(&text[last_lines(text, 1)..], b"three\n");
        assert_eq!(&text[last_lines(text, 2)..], b"two\nthree\n");
        assert_eq!(last_lines(text, 9), 0);
        assert_eq!(last_lines(b"", 3), 0);
    }
}
