//! The `Date` fields of what a server says: the machine's time, which no trace hash may depend on.

use memchr::memchr;

/// Finds the values of `Date` fields in what a server says, however it is cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DateField {
    /// How much of the name has passed.
    name: u8,
    /// How much of the value is still to come.
    value: u8,
}

impl DateField {
    const NAME: &[u8] = b"\ndate: ";
    /// The length of `Sun, 06 Nov 1994 08:49:37 GMT`, which all dates have.
    const VALUE: u8 = 29;

    /// Hands `rest` what of the next bytes is no date.
    pub(super) fn leave_out(&mut self, mut bytes: &[u8], mut rest: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let dates = usize::from(self.value).min(bytes.len());
            self.value -= dates as u8;
            bytes = &bytes[dates..];
            let others = self.find(bytes);
            if others > 0 {
                rest(&bytes[..others]);
            }
            bytes = &bytes[others..];
        }
    }

    /// How many bytes there are before the next value, or before the end.
    fn find(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if self.name == 0 {
                match memchr(b'\n', &bytes[at..]) {
                    Some(line) => at += line,
                    None => return bytes.len(),
                }
            }
            let next = bytes[at].to_ascii_lowercase();
            if next == Self::NAME[usize::from(self.name)] {
                self.name += 1;
            } else {
                self.name = u8::from(next == b'\n');
            }
            at += 1;
            if usize::from(self.name) == Self::NAME.len() {
                (self.name, self.value) = (0, Self::VALUE);
                return at;
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_left_out_however_it_is_cut() {
        let head = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nx: y\r\n\r\n\ndata\n\ndate:";
        let without = b"HTTP/1.1 200 OK\r\nDate: \r\nx: y\r\n\r\n\ndata\n\ndate:";
        for size in 1..=head.len() {
            let (mut field, mut left) = (DateField::default(), Vec::new());
            for piece in head.chunks(size) {
                field.leave_out(piece, |rest| left.extend_from_slice(rest));
            }
            assert_eq!(left, without, "{size}");
        }
    }
}
