//! PEM and DER files of certificates, requests and lists (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Label of a certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// Labels of a certificate request, today's and an old one.
pub const REQUEST: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// The PEM block of `der`.
pub fn encode(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for (i, c) in text.chars().enumerate() {
        if i > 0 && i % 64 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out + &format!("\n-----END {label}-----\n")
}

/// The DER in a file that is PEM with one of these labels (text around the first block is skipped) or DER already. `None` when a PEM block of
/// another kind, or one that is cut or no base64, stands there.
pub fn decode(bytes: &[u8], labels: &[&str]) -> Option<Vec<u8>> {
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN ")) else {
        return Some(bytes.to_vec());
    };
    labels.iter().find_map(|label| {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_and_der_are_read_and_other_blocks_refused() {
        let der: Vec<u8> = (0..200).collect();
        let pem = encode(CERTIFICATE, &der);
        assert!(pem.lines().all(|line| line.len() <= 64));
        assert_eq!(decode(format!("subject=…\n{pem}").as_bytes(), &[CERTIFICATE]), Some(der.clone()));
        assert_eq!(decode(&der, &[CERTIFICATE]), Some(der));
        assert_eq!(decode(pem.as_bytes(), &REQUEST), None);
        assert_eq!(decode(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", &[CERTIFICATE]), None);
    }
}
