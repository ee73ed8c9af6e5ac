//! Student's t: how many standard errors the 95% interval reaches to either side.
//!
//! Owns that one number for every count of degrees of freedom. Other levels and fractional degrees are not needed
//! here.

use std::f64::consts::{FRAC_2_PI, PI};

/// The two-sided level of every interval.
pub const LEVEL: f64 = 0.95;

/// The normal quantile at 0.975, to which t falls as the degrees grow.
const NORMAL: f64 = 1.959_963_984_540_054;

/// From here the expansion around the normal is exact to 1e-14 and the finite sum needless.
const MANY: u64 = 1_000;

/// t with P(|T| ≤ t) = 0.95 for `degrees` ≥ 1 degrees of freedom; infinite for 0 (no interval).
pub fn t95(degrees: u64) -> f64 {
    match degrees {
        0 => f64::INFINITY,
        1 => (PI * LEVEL / 2.0).tan(),
        2 => LEVEL * (2.0 / (1.0 - LEVEL * LEVEL)).sqrt(),
        3..MANY => bisect(degrees),
        _ => expand(degrees),
    }
}

/// The quantile falls with the degrees: below that of 2 degrees, above the normal one.
fn bisect(degrees: u64) -> f64 {
    let (mut low, mut high) = (NORMAL, t95(2));
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if within(middle, degrees) < LEVEL { low = middle } else { high = middle }
    }
}

/// P(|T| ≤ t): the finite sums of positive terms that whole degrees have (Abramowitz & Stegun 26.7.3, 26.7.4).
fn within(t: f64, degrees: u64) -> f64 {
    let n = degrees as f64;
    let cos2 = n / (n + t * t);
    let sin = t / (n + t * t).sqrt();
    let odd = degrees % 2 == 1;
    let mut term = if odd { cos2.sqrt() } else { 1.0 };
    let (mut sum, mut power) = (0.0, u64::from(odd));
    while power + 2 <= degrees {
        sum += term;
        term *= cos2 * (power + 1) as f64 / (power + 2) as f64;
        power += 2;
    }
    if odd { FRAC_2_PI * ((t / n.sqrt()).atan() + sin * sum) } else { sin * sum }
}

/// Abramowitz & Stegun 26.7.5, in falling powers of the degrees.
fn expand(degrees: u64) -> f64 {
    let (n, x) = (degrees as f64, NORMAL);
    let x2 = x * x;
    let g1 = (x2 + 1.0) / 4.0;
    let g2 = ((5.0 * x2 + 16.0) * x2 + 3.0) / 96.0;
    let g3 = (((3.0 * x2 + 19.0) * x2 + 17.0) * x2 - 15.0) / 384.0;
    let g4 = ((((79.0 * x2 + 776.0) * x2 + 1482.0) * x2 - 1920.0) * x2 - 945.0) / 92_160.0;
    x * (1.0 + (g1 + (g2 + (g3 + g4 / n) / n) / n) / n)
}

#[cfg(test)]
mod tests {
    use super::t95;

    /// `scipy.stats.t.ppf(0.975, degrees)`, confirmed with mpmath at 40 digits.
    const QUANTILES: [(u64, f64); 16] = [
        (1, 12.706_204_736_174_705),
        (2, 4.302_652_729_749_464),
        (3, 3.182_446_305_283_709_5),
        (4, 2.776_445_105_197_794_3),
        (5, 2.570_581_835_636_315_5),
        (10, 2.228_138_851_986_275),
        (29, 2.045_229_642_132_704_3),
        (30, 2.042_272_456_301_238),
        (63, 1.998_340_542_520_741_7),
        (100, 1.983_971_518_523_552_2),
        (499, 1.964_729_390_987_689),
        (999, 1.962_341_461_133_45),
        (1_000, 1.962_339_080_826_408_5),
        (1_001, 1.962_336_705_280_88),
        (5_000, 1.960_438_551_706_508),
        (1_000_000, 1.959_966_356_814_107),
    ];

    #[test]
    fn quantiles_agree_with_scipy() {
        for (degrees, expected) in QUANTILES {
            let got = t95(degrees);
            assert!((got / expected - 1.0).abs() < 1e-13, "{degrees}: {got} for {expected}");
        }
    }

    #[test]
    fn no_degrees_no_interval() {
        assert_eq!(t95(0), f64::INFINITY);
    }
}
