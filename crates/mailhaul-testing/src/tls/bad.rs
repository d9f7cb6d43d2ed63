//! Certificates that no client may believe, each bad in one way, and one that every client must believe.
//!
//! Revocation is not among them: a private authority publishes no list of what it has revoked.

use super::trap::Presented;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, NameConstraints, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use std::net::Ipv4Addr;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A certificate that is bad in one way.
#[derive(Debug)]
pub struct BadCertificate {
    /// What is bad about it: `name only in the common name`.
    pub name: &'static str,
    /// The host that a client must ask for: `localhost`, or `127.0.0.1`.
    pub host: &'static str,
    /// What the server presents.
    pub presented: Presented,
}

/// An authority that is to be trusted, and what servers could present to somebody who trusts it.
#[derive(Debug)]
pub struct Certificates {
    root: Issuer,
}

impl Default for Certificates {
    fn default() -> Certificates {
        Certificates::new()
    }
}

impl Certificates {
    /// Makes the authority.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn new() -> Certificates {
        Certificates { root: authority("proving root", |_| {}, None) }
    }

    /// The authority as PEM, for `--ca-file`.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.root.pem()
    }

    /// For `localhost` and 127.0.0.1, with nothing wrong.
    #[must_use]
    pub fn good(&self) -> Presented {
        leaf(&self.root, |_| {})
    }

    /// Everything that must be refused.
    ///
    /// # Panics
    /// When a certificate cannot be made.
    #[must_use]
    pub fn bad(&self) -> Vec<BadCertificate> {
        let mut all = self.wrong_names();
        all.extend(self.wrong_leaves());
        all.extend(self.wrong_chains());
        all.extend(self.forged());
        all
    }

    fn wrong_names(&self) -> Vec<BadCertificate> {
        let dns = |name: &str| vec![SanType::DnsName(name.to_owned().try_into().expect("names here are ASCII"))];
        let ip = |address: [u8; 4]| vec![SanType::IpAddress(Ipv4Addr::from(address).into())];
        let cases: [(&str, &str, Vec<SanType>); 11] = [
            ("another host's name", "localhost", dns("elsewhere.example")),
            ("a wildcard for everything", "localhost", dns("*")),
            ("a wildcard for a part of a label", "localhost", dns("local*")),
            ("a wildcard below the host", "localhost", dns("*.localhost")),
            ("a name that goes on after a NUL", "localhost", dns("localhost\0.elsewhere.example")),
            ("a name that begins like the host's", "localhost", dns("localhost.elsewhere.example")),
            ("a name only in the common name", "localhost", Vec::new()),
            ("an address where a name is asked for", "localhost", ip([127, 0, 0, 1])),
            ("another address", "127.0.0.1", ip([127, 0, 0, 2])),
            ("a name where an address is asked for", "127.0.0.1", dns("localhost")),
            ("an address written as a name", "127.0.0.1", dns("127.0.0.1")),
        ];
        let make = |(name, host, names): (&'static str, &'static str, Vec<SanType>)| {
            let presented = leaf(&self.root, |parameters| parameters.subject_alt_names = names);
            BadCertificate { name, host, presented }
        };
        cases.into_iter().map(make).collect()
    }

    fn wrong_leaves(&self) -> Vec<BadCertificate> {
        let of = |name, change: fn(&mut CertificateParams)| on_localhost(name, leaf(&self.root, change));
        vec![
            of("expired", |leaf| {
                leaf.not_before = date_time_ymd(2010, 1, 1);
                leaf.not_after = date_time_ymd(2015, 1, 1);
            }),
            of("not yet valid", |leaf| leaf.not_before = date_time_ymd(3000, 1, 1)),
            of("for clients only", |leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            of("an authority's own", |leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            of("with a critical extension that nobody knows", |leaf| {
                let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55_555, 1], vec![5, 0]);
                extension.set_criticality(true);
                leaf.custom_extensions.push(extension);
            }),
        ]
    }

    fn wrong_chains(&self) -> Vec<BadCertificate> {
        let below = |name: &str, change: fn(&mut CertificateParams)| authority(name, change, Some(&self.root));
        let chained = |name, issuer: &Issuer| on_localhost(name, chain(leaf(issuer, |_| {}), &[issuer]));
        let middle = below("middle", |_| {});
        let short = below("no further authorities", |parameters| {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        });
        let too_deep = authority("too deep", |_| {}, Some(&short));
        let too_long = chain(leaf(&too_deep, |_| {}), &[&too_deep, &short]);
        vec![
            chained("an authority that nobody knows", &authority("stranger", |_| {}, None)),
            chained("an unknown authority of the known one's name", &authority("proving root", |_| {}, None)),
            on_localhost("a chain without its middle", leaf(&middle, |_| {})),
            chained("issued by no authority", &below("a server", |parameters| parameters.is_ca = IsCa::NoCa)),
            chained(
                "issued by an authority that says it is none",
                &below("a declared server", |parameters| parameters.is_ca = IsCa::ExplicitNoCa),
            ),
            chained(
                "issued by an expired authority",
                &below("expired", |parameters| {
                    parameters.not_before = date_time_ymd(2010, 1, 1);
                    parameters.not_after = date_time_ymd(2015, 1, 1);
                }),
            ),
            chained(
                "issued by an authority for other names",
                &below("for example.com", |parameters| {
                    let permitted_subtrees = vec![GeneralSubtree::DnsName("example.com".to_owned())];
                    parameters.name_constraints =
                        Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
                }),
            ),
            chained(
                "issued by an authority for clients",
                &below("for clients", |parameters| {
                    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                }),
            ),
            on_localhost("a longer chain than is allowed", too_long),
        ]
    }

    fn forged(&self) -> Vec<BadCertificate> {
        let itself = {
            let key = KeyPair::generate().expect("a key can be made");
            let certificate = parameters().self_signed(&key).expect("the parameters are complete");
            Presented::of(vec![certificate.der().clone()], key)
        };
        let mut altered = self.good();
        altered.chain[0] = damaged(&altered.chain[0]);
        let mut garbage = self.good();
        garbage.chain[0] = CertificateDer::from(b"nothing of a certificate".to_vec());
        let stolen = Presented { chain: self.good().chain, ..leaf(&self.root, |_| {}) };
        let nothing = Presented { chain: Vec::new(), ..self.good() };
        vec![
            on_localhost("signed by itself", itself),
            on_localhost("altered after it was signed", altered),
            on_localhost("no certificate but some octets", garbage),
            on_localhost("somebody else's, without its key", stolen),
            on_localhost("an empty chain", nothing),
        ]
    }
}

fn on_localhost(name: &'static str, presented: Presented) -> BadCertificate {
    BadCertificate { name, host: "localhost", presented }
}

fn parameters() -> CertificateParams {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut parameters = CertificateParams::new(names).expect("the names are ASCII");
    parameters.distinguished_name.push(DnType::CommonName, "localhost");
    parameters
}

fn leaf(issuer: &Issuer, change: impl FnOnce(&mut CertificateParams)) -> Presented {
    let mut parameters = parameters();
    change(&mut parameters);
    let key = KeyPair::generate().expect("a key can be made");
    let certificate = parameters.signed_by(&key, issuer).expect("the parameters are complete");
    Presented::of(vec![certificate.der().clone()], key)
}

fn authority(name: &str, change: impl FnOnce(&mut CertificateParams), issuer: Option<&Issuer>) -> Issuer {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut parameters);
    let key = KeyPair::generate().expect("a key can be made");
    match issuer {
        Some(issuer) => CertifiedIssuer::signed_by(parameters, key, issuer),
        None => CertifiedIssuer::self_signed(parameters, key),
    }
    .expect("the parameters are complete")
}

fn chain(mut presented: Presented, issuers: &[&Issuer]) -> Presented {
    presented.chain.extend(issuers.iter().map(|issuer| issuer.der().clone()));
    presented
}

/// The same with its last octet, which belongs to the signature, changed.
fn damaged(certificate: &CertificateDer<'_>) -> CertificateDer<'static> {
    let mut octets = certificate.to_vec();
    if let Some(last) = octets.last_mut() {
        *last ^= 1;
    }
    CertificateDer::from(octets)
}
