//! Which instructions this processor has.
//!
//! Owns detection and the switch by which tests and benches select a lower set. An [`Isa`] exists only where it can
//! run, which is what makes the kernels sound.

use half::bf16;

use crate::kernel::Element;

/// A set of instructions that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Set);

/// Sets of instructions, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Matrix tiles of bf16 (Sapphire Rapids and later); f32 as [`Set::Avx512`].
    Amx,
    /// Dot products of bf16 pairs (Cooper Lake, Zen 4 and later); f32 as [`Set::Avx512`].
    Avx512Bf16,
    /// bf16 is widened to f32.
    Avx512,
    Avx2,
    /// What the compiler may assume of every processor of its target.
    Portable,
}

/// The environment variable that selects a lower instruction set than the processor has.
pub const VARIABLE: &str = "TOKSHIFT_CPU";

/// The summation order of every set that fuses a product with its sum.
const FMA: &str = "fma";

const NAMES: [(&str, Set); 5] = [
    ("amx", Set::Amx),
    ("avx512bf16", Set::Avx512Bf16),
    ("avx512", Set::Avx512),
    ("avx2", Set::Avx2),
    ("portable", Set::Portable),
];

impl Isa {
    /// The best that this processor has, or the one that [`VARIABLE`] selects.
    ///
    /// # Errors
    /// A name that is none, or that of instructions which the processor does not have.
    pub fn from_env() -> Result<Self, String> {
        match std::env::var(VARIABLE) {
            Ok(name) => Self::choose(&name),
            Err(_) => Ok(Self::best()),
        }
    }

    /// The set called `name`; `fma`, as manifests record the summation order of several sets, is the best of these.
    ///
    /// # Errors
    /// As [`Isa::from_env`].
    pub fn choose(name: &str) -> Result<Self, String> {
        if name == FMA {
            let same = Self::all().find(|isa| isa.arithmetic::<bf16>() == FMA);
            return same.ok_or_else(|| format!("{VARIABLE} is `{FMA}`, but no set of this processor sums that way"));
        }
        let known = || NAMES.map(|(name, _)| name).join(", ");
        let Some(&(_, set)) = NAMES.iter().find(|(known, _)| *known == name) else {
            return Err(format!("{VARIABLE} is `{name}`; it can be one of {}, or {FMA}", known()));
        };
        if set.is_available() {
            Ok(Self(set))
        } else {
            Err(format!(
                "{VARIABLE} asks for `{name}`, which this processor does not have; its best is {}",
                Self::best()
            ))
        }
    }

    /// The best set of this processor.
    pub fn best() -> Self {
        Self::all().next().unwrap_or(Self(Set::Portable))
    }

    /// Every set that this processor has, best first.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().filter(|(_, set)| set.is_available()).map(|(_, set)| Self(set))
    }

    /// How products are summed in a model of `T`: where this is equal, they are equal to the bit, whatever the
    /// processor.
    pub fn arithmetic<T: Element>(self) -> &'static str {
        match self.0 {
            Set::Amx | Set::Avx512Bf16 if T::PAIR == 2 => self.name(),
            // Products of two bf16 are exact, so that fusing them with a sum changes nothing; but adapters are f32.
            Set::Portable if cfg!(target_arch = "x86_64") => self.name(),
            _ => FMA,
        }
    }

    fn name(self) -> &'static str {
        NAMES.iter().find(|(_, set)| *set == self.0).map_or("?", |(name, _)| name)
    }

    /// Which it is.
    pub(super) fn set(self) -> Set {
        self.0
    }
}

impl Set {
    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        match self {
            Self::Amx => Self::Avx512Bf16.is_available() && super::amx::is_available(),
            Self::Avx512Bf16 => Self::Avx512.is_available() && is_x86_feature_detected!("avx512bf16"),
            Self::Avx512 => Self::Avx2.is_available() && is_x86_feature_detected!("avx512f"),
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Self::Portable
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
