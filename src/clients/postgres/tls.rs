//! What libpq means by `sslmode`, said to rustls.
//!
//! As in libpq, a root certificate file makes every mode verify the chain, and only `verify-full` looks at the host's
//! name. One difference, on purpose: `verify-full` without any root file trusts the system's authorities, where libpq
//! gives up.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::domain::spelling::did_you_mean;

/// How far a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS if the server insists.
    Allow,
    /// TLS if the server has it.
    Prefer,
    /// TLS, with whomever.
    Require,
    /// TLS with somebody whom the authority knows.
    VerifyCa,
    /// TLS with the host that the URL names.
    VerifyFull,
}

impl SslMode {
    const ALL: [Self; 6] = [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// As `sslmode` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl FromStr for SslMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|mode| mode.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            match did_you_mean(text, names) {
                Some(near) => format!("{text:?} is not a mode; did you mean {near:?}?"),
                None => format!("{text:?} is not a mode; it must be one of {}", names.join(", ")),
            }
        })
    }
}

/// What `sslmode` and its companions say. Files are read when a connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `sslmode`.
    pub mode: SslMode,
    /// `sslrootcert`: a file, or `system`.
    pub root: Option<PathBuf>,
    /// The root file that is used if it exists.
    pub default_root: Option<PathBuf>,
    /// `sslcert`.
    pub certificate: Option<PathBuf>,
    /// The client certificate that is used if it exists.
    pub default_certificate: Option<PathBuf>,
    /// `sslkey`.
    pub key: Option<PathBuf>,
    /// Its default.
    pub default_key: Option<PathBuf>,
    /// `channel_binding=require`.
    pub require_binding: bool,
}

impl Tls {
    /// The client's half of the handshake, or why it cannot be made.
    pub(super) fn client(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(&provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let existing = |path: &Option<PathBuf>| path.clone().filter(|path| path.exists());
        let certificate = self.certificate.clone().or_else(|| existing(&self.default_certificate));
        let Some(certificate) = certificate else { return Ok(Arc::new(builder.with_no_client_auth())) };
        let key = self.key.clone().or_else(|| existing(&self.default_key)).ok_or_else(|| {
            format!(
                "there is no private key for the client certificate {}; name it with sslkey=",
                certificate.display()
            )
        })?;
        let chain = certificates("sslcert", &certificate)?;
        let secret = PrivateKeyDer::from_pem_file(&key)
            .map_err(|error| format!("cannot read the private key {} (sslkey): {error}", key.display()))?;
        let client = builder.with_client_auth_cert(chain, secret);
        client
            .map(Arc::new)
            .map_err(|error| format!("the client certificate {} cannot be used: {error}", certificate.display()))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
        let file = match &self.root {
            Some(root) if root == Path::new("system") => None,
            Some(root) => Some(root),
            None => self.default_root.as_ref().filter(|root| root.exists()),
        };
        let trust = match (file, self.mode) {
            (Some(file), _) => {
                let own = certificates("sslrootcert", file)?;
                let mut roots = RootCertStore::empty();
                for certificate in &own {
                    roots.add(certificate.clone()).map_err(|error| {
                        format!("{} (sslrootcert) holds a certificate that cannot be used: {error}", file.display())
                    })?;
                }
                Trust::Roots { roots, own }
            }
            (None, SslMode::VerifyFull) => {
                let system = rustls_platform_verifier::Verifier::new(Arc::clone(provider));
                return system.map(|system| Arc::new(system) as Arc<dyn ServerCertVerifier>).map_err(|error| {
                    format!(
                        "the system's certificate authorities cannot be used: {error}; name a file with sslrootcert="
                    )
                });
            }
            (None, SslMode::VerifyCa) => {
                // Anybody can have a certificate of a public authority, so the system's do not do here.
                let default = self.default_root.as_ref().map(|root| format!(" ({} is not there)", root.display()));
                return Err(format!(
                    "sslmode=verify-ca needs the authority's certificate: name its file with sslrootcert={}",
                    default.unwrap_or_default()
                ));
            }
            (None, _) => Trust::Anybody,
        };
        let check_name = self.mode == SslMode::VerifyFull;
        Ok(Arc::new(Verifier { trust, check_name, provider: Arc::clone(provider) }))
    }
}

fn certificates(parameter: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let certificates =
        read().map_err(|error| format!("cannot read the certificates in {} ({parameter}): {error}", path.display()))?;
    if certificates.is_empty() {
        return Err(format!("there is no certificate in {} ({parameter}); it must be a PEM file", path.display()));
    }
    Ok(certificates)
}

#[derive(Debug)]
enum Trust {
    Anybody,
    Roots { roots: RootCertStore, own: Vec<CertificateDer<'static>> },
}

/// Verifies as much as libpq would.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    check_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trust::Roots { roots, own } = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let chain = verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms);
        match chain {
            // The server shows the very certificate that the operator trusts, self-signed as `openssl req -x509` makes
            // it: OpenSSL accepts that, webpki says that an authority cannot be a server. Dates were checked before.
            Err(Error::InvalidCertificate(CertificateError::Other(other)))
                if format!("{other:?}").contains("CaUsedAsEndEntity") && own.iter().any(|own| own == end_entity) => {}
            chain => chain?,
        }
        if self.check_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
