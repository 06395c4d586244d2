//! Fractional percentages.

use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use mesh_core::policy::matcher::Fraction;

use super::invalid::{Checked, Invalid};

/// Scaled to parts per million and capped there (RDS-09, EDS-12).
pub(super) fn fraction(percent: &FractionalPercent) -> Checked<Fraction> {
    let scale = match DenominatorType::try_from(percent.denominator) {
        Ok(DenominatorType::Hundred) => 10_000,
        Ok(DenominatorType::TenThousand) => 100,
        Ok(DenominatorType::Million) => 1,
        Err(_) => {
            let reason = format!("expected HUNDRED, TEN_THOUSAND or MILLION, found {}", percent.denominator);
            return Err(Invalid::at("denominator", reason));
        }
    };
    Ok(Fraction::per_million(percent.numerator.saturating_mul(scale)))
}
