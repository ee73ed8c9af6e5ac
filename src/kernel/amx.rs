//! Matrix products by Intel's matrix tiles (AMX-BF16).
//!
//! Owns the request to the operating system to use the tiles, and one loop in assembly: the instructions are stable,
//! Rust's intrinsics for them are not. Two tiles of 16 rows are multiplied by two of 16 outputs, so that each load
//! serves two products. Not here: other element types.

#![allow(unsafe_code, reason = "instructions without intrinsics")]

use std::arch::asm;
use std::sync::OnceLock;

use half::bf16;

use crate::kernel::DEPTH;
use crate::kernel::block::Checked;

/// Whether the processor has bf16 tiles and the system lets this process use them.
pub fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_tiles() && may_use_tiles())
}

/// CPUID leaf 7: EDX bit 22 is AMX-BF16, bit 24 AMX-TILE.
fn has_tiles() -> bool {
    let leaf = std::arch::x86_64::__cpuid_count(7, 0);
    std::arch::x86_64::__cpuid(0).eax >= 7 && leaf.edx & (1 << 22) != 0 && leaf.edx & (1 << 24) != 0
}

/// Linux grants the tiles' state (8 KiB per thread) to processes that request it, once for all their threads.
#[cfg(target_os = "linux")]
fn may_use_tiles() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let result: i64;
    // SAFETY: a system call that takes two numbers and touches no memory of ours; it may change rcx and r11 alone.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn may_use_tiles() -> bool {
    false
}

/// What `ldtilecfg` reads: palette 1, eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct TileConfig([u8; 64]);

static CONFIG: TileConfig = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    TileConfig(bytes)
};

thread_local! {
    /// This thread's tiles are configured; the configuration is the thread's until it ends.
    static IS_CONFIGURED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// How much of k is summed before other outputs' turn: 32 KiB of a panel, which stay in a first-level cache of 48 KiB
/// while all rows pass by. Tiles wait for second-level cache otherwise, which gives them two thirds of what they
/// multiply.
pub const SPAN: usize = 512;

/// Rows of more steps of k than these are loaded with the hint that they need not stay in first-level cache: they would
/// drive the panel out. Those of attention's products have fewer, and are read again at once.
const MANY: usize = SPAN / DEPTH / 2;

/// The sums of `$steps` steps of k, by `$load` of rows.
macro_rules! steps_of_k {
    ($load:literal, $a:ident, $a_stride:ident, $b:ident, $ahead:ident, $steps:ident) => {
        asm!("2:",
            concat!($load, " tmm4, [{a} + {l}]"), "tileloadd tmm6, [{b} + {s}]", "tileloadd tmm7, [{b} + {s} + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6", concat!($load, " tmm5, [{a2} + {l}]"), "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
            "prefetcht1 [{p}]", "prefetcht1 [{p} + 64]", "prefetcht1 [{p} + 128]", "prefetcht1 [{p} + 192]",
            "add {a}, 64", "add {a2}, 64", "add {b}, 2048", "add {p}, 256", "dec {n}", "jnz 2b",
            a = inout(reg) $a => _, a2 = inout(reg) $a.byte_add(16 * $a_stride) => _, b = inout(reg) $b => _,
            p = inout(reg) $ahead => _, n = inout(reg) $steps => _, l = in(reg) $a_stride, s = in(reg) 128_usize,
            options(nostack, readonly))
    };
}

/// All 32 rows, whatever `rows` says: a tile costs the same.
pub fn multiply(block: &mut Checked<bf16>) {
    let steps = block.depth() / DEPTH;
    let (a_stride, c_stride) = (block.a_stride * size_of::<bf16>(), block.c_stride * size_of::<f32>());
    let (a, b, c) = (block.a.as_ptr(), block.panel.as_ptr(), block.c_mut().as_mut_ptr());
    // Where there is nothing to fetch ahead, what is there already.
    let ahead = if block.ahead.is_empty() { b } else { block.ahead.as_ptr() };
    if !IS_CONFIGURED.replace(true) {
        // SAFETY: only where `Set::Amx` is chosen, that is `is_available`; reads the 64 bytes of `CONFIG`.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, readonly)) };
    }
    // SAFETY: the block is checked: A holds 32 rows of `depth` at its stride, the panel depth / 2 lines of 32
    // pairs, and C 32 rows of 32 at its stride: tiles 4 and 5 read rows 0..16 and 16..32 of A, 32 k a step; 6 and 7
    // read 16 pairs of k of outputs 0..16 and 16..32; 0 to 3 are the four quarters of C. No other code uses tiles.
    // Fetching ahead may reach beyond `ahead`: it never faults.
    unsafe {
        if block.adds {
            asm!("tileloadd tmm0, [{c} + {s}]", "tileloadd tmm1, [{c} + {s} + 64]", "tileloadd tmm2, [{d} + {s}]",
                "tileloadd tmm3, [{d} + {s} + 64]", c = in(reg) c, d = in(reg) c.byte_add(16 * c_stride),
                s = in(reg) c_stride, options(nostack, readonly));
        } else {
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
        }
        if steps > MANY {
            steps_of_k!("tileloaddt1", a, a_stride, b, ahead, steps);
        } else {
            steps_of_k!("tileloadd", a, a_stride, b, ahead, steps);
        }
        asm!("tilestored [{c} + {s}], tmm0", "tilestored [{c} + {s} + 64], tmm1", "tilestored [{d} + {s}], tmm2",
            "tilestored [{d} + {s} + 64], tmm3", c = in(reg) c, d = in(reg) c.byte_add(16 * c_stride),
            s = in(reg) c_stride, options(nostack));
    }
}
