//! Weights in FP8 (E4M3: four exponent bits, three mantissa bits) with one scale per block, as DeepSeek V3 and Qwen 3
//! are published.
//!
//! Owns dequantisation: value · scale, rounded once to f32. Activations are not quantised, although the kernels that
//! serve these models quantise them: tokshift scores the weights.

use candle_core::{Device, Tensor};

/// The tensor that contains the scales of `weight`. They are factors, whatever the name says.
pub fn scales_of(weight: &str) -> String {
    format!("{weight}_scale_inv")
}

/// One scale for each block of `[rows, columns]` values; those at the right and lower edge may be smaller.
pub fn scale_shape(shape: &[usize], block: [usize; 2]) -> Result<[usize; 2], String> {
    let &[rows, columns] = shape else { return Err(format!("is FP8 of shape {shape:?}, expected a matrix")) };
    Ok([rows.div_ceil(block[0]), columns.div_ceil(block[1])])
}

/// `bytes` row by row, of this `shape`, times `scales` (f32, of [`scale_shape`]): f32 on the CPU.
pub fn dequantise(bytes: &[u8], shape: &[usize], scales: &Tensor, block: [usize; 2]) -> Result<Tensor, String> {
    let table: Vec<f32> = (0..=u8::MAX).map(decode).collect();
    let scales = scales.to_vec2::<f32>().map_err(|e| e.to_string())?;
    let columns = shape.last().copied().unwrap_or(0);
    let mut values = Vec::with_capacity(bytes.len());
    for (row, bytes) in bytes.chunks(columns.max(1)).enumerate() {
        let scales = &scales[row / block[0]];
        values.extend(bytes.iter().enumerate().map(|(column, &byte)| table[byte as usize] * scales[column / block[1]]));
    }
    if let Some(place) = values.iter().position(|x| !x.is_finite()) {
        return Err(format!("stands for {} at element {place}: the weights are broken", values[place]));
    }
    Tensor::from_vec(values, shape, &Device::Cpu).map_err(|e| e.to_string())
}

/// A sign, an exponent with a bias of 7, three bits of mantissa; no infinities, and one NaN of each sign.
fn decode(byte: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 0xf), f32::from(byte & 7) / 8.0);
    let magnitude = match (exponent, byte & 7) {
        (0xf, 7) => f32::NAN,
        (0, _) => mantissa * 2_f32.powi(-6),
        _ => (1.0 + mantissa) * 2_f32.powi(exponent - 7),
    };
    if byte < 0x80 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::{decode, dequantise, scale_shape};

    #[test]
    fn the_format_is_e4m3_without_infinities() {
        let known = [(0x00, 0.0), (0x01, 2_f32.powi(-9)), (0x08, 2_f32.powi(-6)), (0x38, 1.0), (0x39, 1.125)];
        for (byte, value) in known.into_iter().chain([(0x7e, 448.0)]) {
            assert_eq!((decode(byte), decode(byte | 0x80)), (value, -value));
        }
        assert!(decode(0x7f).is_nan() && decode(0xff).is_nan());
        assert_eq!((0..=255).filter(|&byte| !decode(byte).is_finite()).count(), 2);
    }

    #[test]
    fn blocks_at_the_edges_are_smaller() {
        let (shape, block) = ([3, 5], [2, 4]);
        assert_eq!(scale_shape(&shape, block).unwrap(), [2, 2]);
        let scales = Tensor::new(&[[1_f32, 10.0], [100.0, 1000.0]], &Device::Cpu).unwrap();
        let values = dequantise(&[0x38; 15], &shape, &scales, block).unwrap().to_vec2::<f32>().unwrap();
        let upper = [1.0, 1.0, 1.0, 1.0, 10.0];
        assert_eq!(values, [upper, upper, upper.map(|x| 100.0 * x)]);
        assert!(dequantise(&[0x7f; 15], &shape, &scales, block).unwrap_err().contains("element 0"));
    }
}
