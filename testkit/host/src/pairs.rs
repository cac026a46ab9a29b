//! The wire form of a list of byte-string pairs: a count, the lengths of every
//! name and value (all little-endian `u32`), then each name and value followed
//! by a zero byte (`PairsUtil`, proxy-wasm-cpp-host `src/pairs_util.cc`).

pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Envoy refuses to read longer buffers and longer lists
/// (`include/proxy-wasm/limits.h`).
const MAX_BYTES: usize = 1024 * 1024;
const MAX_PAIRS: usize = 1024;

pub(crate) fn encode<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> Vec<u8> {
    let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
    let mut out = Vec::new();
    out.extend((pairs.len() as u32).to_le_bytes());
    for (name, value) in pairs {
        out.extend(length(name.as_ref()));
        out.extend(length(value.as_ref()));
    }
    for (name, value) in pairs {
        for part in [name.as_ref(), value.as_ref()] {
            out.extend(part);
            out.push(0);
        }
    }
    out
}

/// Reads pairs that a guest wrote. As in Envoy, a buffer that is malformed in
/// any way is an empty list.
pub(crate) fn decode(buffer: &[u8]) -> Pairs {
    if buffer.len() > MAX_BYTES {
        return Vec::new();
    }
    try_decode(buffer).unwrap_or_default()
}

fn try_decode(buffer: &[u8]) -> Option<Pairs> {
    let mut rest = buffer;
    let count = take_u32(&mut rest)?;
    if count > MAX_PAIRS {
        return None;
    }
    let lengths = (0..count)
        .map(|_| Some((take_u32(&mut rest)?, take_u32(&mut rest)?)))
        .collect::<Option<Vec<_>>>()?;
    let pairs = lengths
        .into_iter()
        .map(|(name, value)| Some((take_text(&mut rest, name)?, take_text(&mut rest, value)?)))
        .collect::<Option<Vec<_>>>()?;
    rest.is_empty().then_some(pairs)
}

fn take_u32(rest: &mut &[u8]) -> Option<usize> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_le_bytes(*head) as usize)
}

fn take_text(rest: &mut &[u8], length: usize) -> Option<Vec<u8>> {
    let (text, tail) = rest.split_at_checked(length)?;
    let (&zero, tail) = tail.split_first()?;
    *rest = tail;
    (zero == 0).then(|| text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let pairs = vec![(b"a".to_vec(), b"".to_vec()), (b"".to_vec(), b"\xe9\0".to_vec())];
        assert_eq!(decode(&encode(&pairs)), pairs);
        assert_eq!(encode(&[("k", "vv")]), b"\x01\0\0\0\x01\0\0\0\x02\0\0\0k\0vv\0");
    }

    #[test]
    fn a_malformed_buffer_is_no_pairs() {
        let good = encode(&[("k", "v")]);
        for end in 0..good.len() {
            assert!(decode(&good[..end]).is_empty(), "cut at {end}");
        }
        let mut long = good.clone();
        long.push(0);
        assert!(decode(&long).is_empty(), "a byte too many");
        let mut unterminated = good;
        *unterminated.last_mut().unwrap() = 1;
        assert!(decode(&unterminated).is_empty(), "no zero byte at the end");
    }
}
