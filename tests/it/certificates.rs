//! Certificates for tests, and files that change as they do in Kubernetes.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

/// A CA of a test's own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For these names; the first is the CN, too.
    pub fn issue(&self, names: &[&str], lives: Duration) -> Identity {
        let alternative: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(alternative).unwrap();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let now = SystemTime::now();
        params.not_before = (now - Duration::from_secs(3 * 86_400)).into();
        // Times in certificates are whole seconds, and the last one counts: "just expired" is more than a second ago.
        params.not_after = (now - Duration::from_secs(2 * 86_400 + 10) + lives).into();
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &*self.0).unwrap();
        Identity { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// One that lives for long.
    pub fn lasting(&self, names: &[&str]) -> Identity {
        self.issue(names, days(92))
    }
}

/// So many days; a certificate that lives for two has just expired.
pub fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// A folder that Kubernetes mounts for a Secret: files are links into a version, and versions are swapped as one.
pub struct Mount {
    folder: PathBuf,
    version: u32,
}

impl Mount {
    pub fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mount-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut mount = Self { folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), version: 0 };
        fs::create_dir_all(&mount.folder).unwrap();
        mount.swap(files);
        for (name, _) in files {
            symlink(Path::new("..data").join(name), mount.folder.join(name)).unwrap();
        }
        mount
    }

    /// Another version, in one step.
    pub fn swap(&mut self, files: &[(&str, &str)]) {
        self.version += 1;
        let version = format!("..version-{}", self.version);
        let folder = self.folder.join(&version);
        fs::create_dir(&folder).unwrap();
        for (name, contents) in files {
            fs::write(folder.join(name), contents).unwrap();
        }
        let next = self.folder.join("..data_tmp");
        symlink(&version, &next).unwrap();
        fs::rename(next, self.folder.join("..data")).unwrap();
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}
