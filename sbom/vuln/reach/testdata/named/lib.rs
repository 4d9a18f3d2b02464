//! Calls some functions that advisories are about, in several ways, and others of
//! their crates.
use smallvec::SmallVec;
use time::format_description::well_known::Iso8601;

trait Step {
    fn step(&self, text: &str) -> usize;
}

struct Dates;

impl Step for Dates {
    fn step(&self, text: &str) -> usize {
        time::Date::parse(text, &Iso8601::DEFAULT).map_or(0, |d| d.day() as usize)
    }
}

struct Length;

impl Step for Length {
    fn step(&self, text: &str) -> usize {
        text.len()
    }
}

static STEPS: [&(dyn Step + Sync); 2] = [&Dates, &Length];

fn checked(n: usize) -> anyhow::Result<usize> {
    anyhow::ensure!(n > 3, "{n} is too few");
    Ok(n)
}

/// Decompresses what it is given by calls alone, and goes on through a table.
#[no_mangle]
pub extern "C" fn run(n: usize, p: *const u8) -> usize {
    let input = unsafe { std::slice::from_raw_parts(p, n) };
    let mut out = vec![0u8; n * 8];
    let size = lz4_flex::block::decompress_into(input, &mut out).unwrap_or(0);
    let mut few: SmallVec<[u8; 4]> = SmallVec::new();
    few.extend_from_slice(&out[..size]);
    let text = String::from_utf8_lossy(&few);
    STEPS[n % 2].step(&text) + checked(size).unwrap_or_else(|e| e.to_string().len())
}
