//! Durations as people write them.

/// Seconds of a text like `90s`, `5m` or `2h`.
pub fn seconds(text: &str) -> Result<u64, String> {
    let unit = text.chars().last().ok_or("empty")?;
    let factor: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(format!("no unit: {text}")),
    };
    let number: u64 = text[..text.len() - 1]
        .parse()
        .map_err(|_| format!("no number: {text}"))?;
    Ok(number * factor)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn units() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("2h"), Ok(7200));
        assert!(seconds("2").is_err());
    }
}
