//! Identifiers as RDS has them, ARNs, and numbers that name things.

use rand::RngExt;

use super::wire::Refusal;

/// The estate's account.
pub const ACCOUNT: &str = "123456789012";

/// Regions that every account has; into any other it must opt first, and the estate's has not.
pub const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Checks an identifier of an instance or a snapshot: 1 to 63 (255) letters, digits and single hyphens, a letter first, no
/// hyphen last. Kept in lower case, as RDS does.
pub fn identifier(what: &str, text: Option<&str>, longest: usize) -> Result<String, Refusal> {
    let text = text.unwrap_or_default();
    let wrong = |why: &str| {
        let message = format!(
            "The parameter {what} is not a valid identifier. {why}Identifiers must begin with a letter; must contain only \
             ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
        );
        Err(Refusal::new("InvalidParameterValue", message))
    };
    if text.len() > longest {
        return wrong(&format!("It has more than {longest} characters. "));
    }
    let legal = text.starts_with(|char: char| char.is_ascii_alphabetic())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
        && !text.ends_with('-')
        && !text.contains("--");
    if legal { Ok(text.to_ascii_lowercase()) } else { wrong("") }
}

/// `arn:aws:rds:REGION:ACCOUNT:KIND:NAME`
pub fn rds_arn(region: &str, kind: &str, name: &str) -> String {
    format!("arn:aws:rds:{region}:{ACCOUNT}:{kind}:{name}")
}

/// Region, kind and name of an ARN of RDS.
pub fn parse_rds_arn(arn: &str) -> Option<(&str, &str, &str)> {
    let (region, rest) = arn.strip_prefix("arn:aws:rds:")?.split_once(':')?;
    let (kind, name) = rest.split_once(':')?.1.split_once(':')?;
    Some((region, kind, name))
}

/// `db-ABCDEFGHIJKLMNOPQRSTUVWXYZ`: what an instance is whatever it is called.
pub fn resource_id() -> String {
    let letters: String = (0..26).map(|_| char::from(b'A' + rand::rng().random_range(0..26_u8))).collect();
    format!("db-{letters}")
}

/// A version 4 UUID.
pub fn uuid() -> String {
    let number: u128 = rand::rng().random();
    let number = number & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let text = format!("{number:032x}");
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// The key that RDS takes where nobody names one.
pub fn default_key(region: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/estate")
}

/// The key that somebody names, by ARN or id, in a region. There is no KMS here: each that could be is there.
pub fn key(region: &str, named: &str) -> Result<String, Refusal> {
    let own = format!("arn:aws:kms:{region}:");
    match named {
        "alias/aws/rds" => Ok(default_key(region)),
        arn if arn.starts_with(&own) => Ok(arn.to_owned()),
        arn if arn.starts_with("arn:") => {
            let message = format!(
                "Specified KMS key [{arn}] does not exist, is not enabled or you do not have permissions to access it."
            );
            Err(Refusal::new("KMSKeyNotAccessibleFault", message))
        }
        id => Ok(format!("{own}{ACCOUNT}:key/{id}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_those_of_rds() {
        let fine = |text: &str| identifier("DBInstanceIdentifier", Some(text), 63);
        assert_eq!(fine("Portarium-prod-acme-DB").unwrap(), "portarium-prod-acme-db");
        assert!(fine(&format!("a{}", "b".repeat(62))).is_ok());
        for wrong in ["", "1a", "-a", "a-", "a--b", "a_b", "é", &format!("a{}", "b".repeat(63))] {
            assert_eq!(fine(wrong).unwrap_err().code, "InvalidParameterValue", "{wrong}");
        }
    }

    #[test]
    fn arns_come_apart_as_they_were_put_together() {
        let arn = rds_arn("eu-west-1", "snapshot", "rds:x-2026-11-22-15-00");
        assert_eq!(parse_rds_arn(&arn), Some(("eu-west-1", "snapshot", "rds:x-2026-11-22-15-00")));
        assert_eq!(parse_rds_arn("arn:aws:s3:::bucket"), None);
    }

    #[test]
    fn a_uuid_looks_like_one() {
        let text = uuid();
        assert_eq!((text.len(), text.as_bytes()[14]), (36, b'4'), "{text}");
        assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
    }
}
