//! May this requester ask for this? Answered from the configuration alone, before anything is read or anyone is asked.

use super::Origin;
use super::summary::Requester;
use crate::config::Config;

/// What somebody wants.
#[derive(Clone, Copy, Debug)]
pub enum Wish<'a> {
    /// A signature over a digest whose document this program does not see.
    Digest {
        /// Code of the seal.
        seal: &'a str,
    },
    /// A signature on a document.
    Document {
        /// Code of the seal.
        seal: &'a str,
        /// `ofd` or `pdf`.
        format: &'a str,
    },
}

/// Why not. The text is for the help desk.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyRefused {
    /// Digest-only signing is not allowed for this origin.
    #[error("this origin may not ask for signatures over digests")]
    DigestOnly,
    /// The origin is limited to other formats.
    #[error("this origin may not ask for signatures on this format")]
    Format,
    /// The origin is limited to other seals.
    #[error("this origin may not ask for this seal")]
    Seal,
}

/// The rules for one requester and one wish. A command of the user is bound by nothing here: it sees what it signs. So is the agent's
/// own page, which has documents and no use for digests.
pub fn allow(config: &Config, requester: &Requester, wish: Wish<'_>) -> Result<(), PolicyRefused> {
    let origin = match (requester, &wish) {
        (Requester::Origin(origin), _) => origin,
        (Requester::OwnPage, Wish::Digest { .. }) => return Err(PolicyRefused::DigestOnly),
        (Requester::CommandLine | Requester::OwnPage, _) => return Ok(()),
    };
    let (seal, format) = match wish {
        Wish::Digest { .. } if !config.http.digest_only.contains(origin) => return Err(PolicyRefused::DigestOnly),
        Wish::Digest { seal } => (seal, None),
        Wish::Document { seal, format } => (seal, Some(format)),
    };
    for limit in config.limits.iter().filter(|l| l.origin == *origin) {
        if limit.seals.as_ref().is_some_and(|seals| !seals.contains(seal)) {
            return Err(PolicyRefused::Seal);
        }
        if let (Some(formats), Some(format)) = (&limit.formats, format)
            && !formats.contains(format)
        {
            return Err(PolicyRefused::Format);
        }
    }
    Ok(())
}

/// Whether this requester's signatures need a licence statement of the signer's registry.
pub fn licence_required(config: &Config, requester: &Requester) -> bool {
    let is_limited = |origin: &Origin| config.limits.iter().any(|limit| limit.origin == *origin && limit.licence_required);
    config.licence_required || matches!(requester, Requester::Origin(origin) if is_limited(origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Limit, Places};

    #[test]
    fn limits_bind_their_origin_and_digests_need_leave() {
        let mut config = Config::empty(Places { data: "/d".into(), state: "/s".into() });
        let origin = |text| Origin::parse(text).unwrap();
        let (a, b) = (Requester::Origin(origin("https://a.example")), Requester::Origin(origin("https://b.example")));
        config.limits.push(Limit {
            origin: origin("https://a.example"),
            seals: Some(["1".to_owned()].into()),
            formats: Some(["ofd".to_owned()].into()),
            licence_required: false,
        });
        config.http.digest_only.insert(origin("https://b.example"));
        let document = |seal, format| Wish::Document { seal, format };
        assert_eq!(allow(&config, &a, document("1", "ofd")), Ok(()));
        assert_eq!(allow(&config, &a, document("2", "ofd")), Err(PolicyRefused::Seal));
        assert_eq!(allow(&config, &a, document("1", "pdf")), Err(PolicyRefused::Format));
        assert_eq!(allow(&config, &a, Wish::Digest { seal: "1" }), Err(PolicyRefused::DigestOnly));
        assert_eq!(allow(&config, &b, Wish::Digest { seal: "2" }), Ok(()));
        assert_eq!(allow(&config, &Requester::OwnPage, document("2", "pdf")), Ok(()));
        assert_eq!(allow(&config, &Requester::OwnPage, Wish::Digest { seal: "1" }), Err(PolicyRefused::DigestOnly));
        assert_eq!(allow(&config, &Requester::CommandLine, document("2", "pdf")), Ok(()));
    }

    #[test]
    fn licence_is_required_of_whom_the_policy_names_or_of_all() {
        let mut config = Config::empty(Places { data: "/d".into(), state: "/s".into() });
        let requester = |text| Requester::Origin(Origin::parse(text).unwrap());
        let (a, b) = (requester("https://a.example"), requester("https://b.example"));
        assert!(!licence_required(&config, &a));
        let Requester::Origin(origin) = a.clone() else { panic!("an origin") };
        config.limits.push(Limit { origin, seals: None, formats: None, licence_required: true });
        assert!(licence_required(&config, &a) && !licence_required(&config, &b));
        config.licence_required = true;
        assert!(licence_required(&config, &b));
    }
}
