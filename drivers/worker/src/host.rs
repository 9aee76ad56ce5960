//! Arguments → the one driver of this process.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use ukey::{Driver, DriverError};

use crate::{confine, frames::Corruption};

/// Insertion to event within a second, and a list of tokens costs a library little.
const POLL: Duration = Duration::from_millis(800);

/// Asking the PC/SC service costs less than a millisecond, and no card is talked to.
#[cfg(feature = "pcsc")]
const POLL_PCSC: Duration = Duration::from_millis(250);

/// The profile's name in a configuration that names none: the library is known by its name, or does what the standard says.
#[cfg(any(feature = "pkcs11", feature = "skf"))]
const GENERIC: &str = "generic";

/// A driver and how it is served.
pub(crate) struct Hosted {
    /// The driver.
    pub(crate) driver: Box<dyn Driver>,
    /// How often tokens are listed between requests, to notice those that come and go.
    pub(crate) poll: Duration,
    /// Gives bytes to write in place of the next answer, when a fault script says so.
    pub(crate) corruption: Option<Corruption>,
}

/// Makes the driver that the arguments name, and takes from the process what this driver does not need.
pub(crate) fn host(arguments: &[OsString]) -> Result<Hosted, DriverError> {
    let words: Vec<_> = arguments.iter().map(|a| a.to_str().unwrap_or_default()).collect();
    match words.as_slice() {
        #[cfg(feature = "virtual")]
        ["virtual", _, options @ ..] => {
            let folder = PathBuf::from(&arguments[1]);
            confine::only_files_below(&folder);
            let (driver, corruption): (_, Option<Corruption>) = match options {
                [] => (ukey_virtual::VirtualDriver::new(folder), None),
                ["--faults"] => {
                    let faults = ukey_virtual::faults::Faults::new(folder.clone());
                    let corruption = faults.clone();
                    (
                        ukey_virtual::VirtualDriver::with_faults(folder, faults),
                        Some(Box::new(move |hello| corruption.corruption(hello))),
                    )
                }
                _ => return Err(unknown(arguments)),
            };
            Ok(Hosted { driver: Box::new(driver), poll: POLL, corruption })
        }
        #[cfg(feature = "pcsc")]
        ["pcsc"] => Ok(Hosted { driver: Box::new(ukey_pcsc::Pcsc::new()), poll: POLL_PCSC, corruption: None }),
        #[cfg(feature = "pkcs11")]
        ["pkcs11", _, profile @ ..] => {
            let profile = match profile {
                [] | [GENERIC] => None,
                [name] => Some(ukey_pkcs11::Profile::named(name).ok_or_else(|| unknown(arguments))?),
                _ => return Err(unknown(arguments)),
            };
            let driver = ukey_pkcs11::Pkcs11::load(std::path::Path::new(&arguments[1]), profile)?;
            Ok(Hosted { driver: Box::new(driver), poll: POLL, corruption: None })
        }
        #[cfg(feature = "skf")]
        ["skf", _, profile @ ..] => {
            let library = std::path::Path::new(&arguments[1]);
            let profile = match profile {
                [] | [GENERIC] => ukey_skf::Profile::of_library(library),
                [name] => ukey_skf::Profile::named(name).ok_or_else(|| unknown(arguments))?,
                _ => return Err(unknown(arguments)),
            };
            let driver = ukey_skf::Skf::load(library, profile)?;
            Ok(Hosted { driver: Box::new(driver), poll: POLL, corruption: None })
        }
        _ => Err(unknown(arguments)),
    }
}

fn unknown(arguments: &[OsString]) -> DriverError {
    DriverError::unsupported(format!("a driver of these arguments: {arguments:?}"))
}
