//! Just enough CSV (RFC 4180) for the files beside it: one header line, one row a line, quotes where a
//! field holds a comma.

/// The rows after the header, as fields.
pub(super) fn rows(text: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    text.lines().skip(1).map(fields)
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        let field = fields.last_mut().expect("there is always the field under way");
        match char {
            // A doubled quote inside quotes is one quote.
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    #[test]
    fn quotes_keep_commas_and_doubled_quotes() {
        let rows: Vec<_> = super::rows("a,b,c\n1,\"x, \"\"y\"\"\",\n").collect();
        assert_eq!(rows, [["1", "x, \"y\"", ""]]);
    }
}
