//! Time stamps (RFC 3161, GM/T 0033).
