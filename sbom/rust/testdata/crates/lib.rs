//! Calls crates whose panic messages stay in a stripped release.
use num_bigint::BigUint;
use std::io::Write;

#[no_mangle]
pub extern "C" fn run(n: usize, p: *const u8) -> usize {
    let input = unsafe { std::slice::from_raw_parts(p, n) };
    let text = String::from_utf8_lossy(input);
    let mut total = 0;
    if let Ok(d) = text.parse::<toml_edit::DocumentMut>() {
        total += d.len() + d.to_string().len();
    }
    let mut out = [0u8; 99];
    total += bs58::encode(input).onto(&mut out[..]).unwrap_or(7);
    let big = BigUint::from_bytes_le(input);
    total += (&big / (&big - BigUint::from(3u8))).bits() as usize;
    let mut v: smallvec::SmallVec<[u8; 4]> = smallvec::SmallVec::new();
    v.extend_from_slice(input);
    v.insert(n / 2, 3);
    let mut s: hashbrown::HashMap<u8, u64> = hashbrown::HashMap::new();
    for b in v.drain(1..) {
        *s.entry(b).or_default() += 1;
    }
    let mut w = base64::write::EncoderWriter::new(Vec::new(), &base64::engine::general_purpose::STANDARD);
    w.write_all(input).unwrap();
    total + s.len() + w.finish().unwrap().len()
}
