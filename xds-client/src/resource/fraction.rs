//! Fractional percentages.

use mesh_core::policy::matcher::Fraction;
use xds_proto::envoy::r#type::v3::FractionalPercent;
use xds_proto::envoy::r#type::v3::fractional_percent::DenominatorType;

use super::invalid::{Checked, Invalid};

/// Scaled to parts per million and capped there (RDS-09, EDS-12).
pub(super) fn fraction(percent: &FractionalPercent) -> Checked<Fraction> {
    let scale = match denominator(percent)? {
        DenominatorType::Hundred => 10_000,
        DenominatorType::TenThousand => 100,
        DenominatorType::Million => 1,
    };
    Ok(Fraction::per_million(percent.numerator.saturating_mul(scale)))
}

/// The unit of the numerator.
pub(super) fn denominator(percent: &FractionalPercent) -> Checked<DenominatorType> {
    DenominatorType::try_from(percent.denominator).map_err(|_| {
        let reason = format!("expected HUNDRED, TEN_THOUSAND or MILLION, found {}", percent.denominator);
        Invalid::at("denominator", reason)
    })
}
