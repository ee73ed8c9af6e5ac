//! Elementwise functions and reductions over slices.
//!
//! Owns branch-free loops, which compilers turn into the processor's widest vectors, and the one place that requests
//! those vectors. Every lane is computed alike and sums have [`LANES`] fixed lanes, so the same numbers give the same
//! bits on every processor. Not here: formulas of a model.

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]
#![allow(unsafe_code, reason = "calls of functions that are compiled for a processor")]

/// Runs `work`, a closure marked `#[inline(always)]`, compiled for the widest vectors that the processor has. It is called
/// once. (`FnMut` all the same: a closure called as `FnOnce` goes through a shim that the compiler does not inline, and
/// loses the vectors with it.)
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn vectorised<R>(mut work: impl FnMut() -> R) -> R {
    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    fn by_64_bytes<R>(work: &mut impl FnMut() -> R) -> R {
        work()
    }
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    fn by_32_bytes<R>(work: &mut impl FnMut() -> R) -> R {
        work()
    }
    // SAFETY: each is called where what it was compiled for was found.
    unsafe {
        match vectors() {
            Vectors::Of64Bytes => by_64_bytes(&mut work),
            Vectors::Of32Bytes => by_32_bytes(&mut work),
            Vectors::Any => work(),
        }
    }
}

/// As there: what the target has is what there is.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub fn vectorised<R>(mut work: impl FnMut() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
enum Vectors {
    Of64Bytes,
    Of32Bytes,
    Any,
}

#[cfg(target_arch = "x86_64")]
fn vectors() -> Vectors {
    static FOUND: std::sync::OnceLock<Vectors> = std::sync::OnceLock::new();
    *FOUND.get_or_init(|| {
        let has_32 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        let has_64 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        match (has_32, has_64) {
            (true, true) => Vectors::Of64Bytes,
            (true, false) => Vectors::Of32Bytes,
            _ => Vectors::Any,
        }
    })
}

/// Whether [`vectorised`] compiles for vectors of 64 bytes here.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_64_bytes() -> bool {
    matches!(vectors(), Vectors::Of64Bytes)
}

/// Running sums of a row, added pairwise in the end. What does not fill all lanes is added in a copy of them: an array that
/// is also indexed by a variable stays in memory.
pub const LANES: usize = 16;

/// Σ f(x) over `values` in [`LANES`] lanes: lane l has the terms l, l + 16, …
#[inline(always)]
pub fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f(*x);
        }
    }
    let mut ends = lanes;
    for (lane, x) in ends.iter_mut().zip(rest) {
        *lane += f(*x);
    }
    total(ends)
}

/// The lanes' sum, pairwise.
#[inline(always)]
fn total(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The largest of `values`; −∞ of none. A NaN is passed over.
#[inline(always)]
pub fn max(values: &[f32]) -> f32 {
    max_of(values, |x| x)
}

/// The largest f(x); as [`max`].
#[inline(always)]
pub fn max_of(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            let x = f(*x);
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let mut ends = lanes;
    for (lane, x) in ends.iter_mut().zip(rest) {
        let x = f(*x);
        *lane = if x > *lane { x } else { *lane };
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            let (a, b) = (ends[lane], ends[lane + width]);
            ends[lane] = if b > a { b } else { a };
        }
        width /= 2;
    }
    ends[0]
}

/// eˣ, relative error below 2⁻²³; 0 below −87, finite above 88. Cody-Waite reduction x = n ln 2 + r and the polynomial
/// of the Cephes library's `expf`.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    /// Adding and subtracting it rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, clamped));
    let mut p = 1.987_569_1e-4_f32;
    p = p.mul_add(r, 1.398_2e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 0.5);
    let mantissa = (p * r).mul_add(r, r) + 1.0;
    // The integer n stands in the low bits of the shifted number; 127 is the bias of an exponent.
    let power = f32::from_bits((shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127)) << 23);
    let value = mantissa * power;
    if x < -87.0 { 0.0 } else { value }
}

/// 2ˣ for x ≤ 0, relative error below 2⁻²²; 0 below −126, NaN of NaN. The polynomial of the Cephes library's `exp2f`.
#[inline(always)]
pub fn exp2(x: f32) -> f32 {
    /// Adding and subtracting it rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    // Not `f32::max`, by which a NaN would become a small weight.
    let clamped = if x < -126.0 { -126.0 } else { x };
    let shifted = clamped + ROUND;
    let r = clamped - (shifted - ROUND);
    let mut p = 1.535_336_2e-4_f32;
    p = p.mul_add(r, 1.339_887_4e-3);
    p = p.mul_add(r, 9.618_437e-3);
    p = p.mul_add(r, 5.550_332_6e-2);
    p = p.mul_add(r, 2.402_265e-1);
    p = p.mul_add(r, 6.931_472e-1);
    p = p.mul_add(r, 1.0);
    // The integer stands in the low bits of the shifted number; 127 is the bias of an exponent.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if x < -126.0 { 0.0 } else { p * power }
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// x · sigmoid(x) (Elfwing et al. 2018).
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// GELU by its tanh formula (Hendrycks & Gimpel 2016): ½ x (1 + tanh u) = x · sigmoid(2 u).
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    let u = SQRT_2_OVER_PI * x * (0.044_715 * x).mul_add(x, 1.0);
    x / (1.0 + exp(-2.0 * u))
}

/// tanh x: Cephes' polynomial near 0, where 1 − 2 / (1 + e²ˣ) would cancel.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let square = x * x;
    let mut p = -5.704_988_7e-3_f32;
    p = p.mul_add(square, 2.063_908_8e-2);
    p = p.mul_add(square, -5.373_971_4e-2);
    p = p.mul_add(square, 1.333_144_2e-1);
    p = p.mul_add(square, -3.333_328e-1);
    let near = (p * square).mul_add(x, x);
    let far = (1.0 - 2.0 / (1.0 + exp(2.0 * x.abs()))).copysign(x);
    if x.abs() < 0.625 { near } else { far }
}
