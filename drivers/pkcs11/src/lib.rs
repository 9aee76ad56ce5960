//! One PKCS#11 module as a UKey driver.
