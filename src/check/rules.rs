//! Every kind of finding, declared once: its code, how bad it is, and its name. `docs/checks.md` has a heading for each.
//!
//! A code never changes its meaning and is never used again. The hundreds: 0 the file, 1 a trigger's metadata, 2 the object
//! around it, 3 credentials, 4 KEDA's way to us, 5 what a look at the broker shows.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; never fails a check.
    Note,
    /// It is taken, and does something else than is meant, or does harm later.
    Warning,
    /// Kubernetes, KEDA or this server refuses it, or it cannot work.
    Error,
}

/// A kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `PL101`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// In a few words.
    pub title: &'static str,
}

impl Severity {
    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Rule {
    /// Where it is explained.
    #[must_use]
    pub fn link(&self) -> String {
        format!("docs/checks.md#{}", self.code.to_ascii_lowercase())
    }
}

/// The one with this code, in capitals or not.
#[must_use]
pub fn find(code: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.code.eq_ignore_ascii_case(code)).copied()
}

macro_rules! rules {
    ($($name:ident = $code:literal $severity:ident $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: Rule = Rule { code: $code, severity: Severity::$severity, title: $title };
        )*

        /// All of them, by code.
        pub const ALL: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    UNREADABLE = "PL001" Error "no YAML";
    TEMPLATE = "PL002" Error "a template that was not rendered";
    TWICE = "PL003" Error "a key stands twice";
    WRONG_TYPE = "PL004" Error "a value of the wrong type";
    UNKNOWN_FIELD = "PL005" Error "a field that KEDA does not have";
    MISSING_FIELD = "PL006" Error "a field is missing";
    BAD_VALUE = "PL007" Error "a value that KEDA does not take";
    KEDA_1 = "PL008" Error "written for KEDA 1";
    BAD_IGNORE = "PL009" Warning "an ignore comment that ignores nothing known";
    SAME_OBJECT = "PL010" Error "an object stands twice";

    BAD_KEY = "PL101" Error "a trigger's value that cannot be followed";
    MISSING_KEY = "PL102" Error "a trigger's key is missing";
    UNKNOWN_KEY = "PL103" Warning "a key that the scaler does not have";
    ODD_KEY = "PL104" Warning "a key that is hardly meant so";
    UNKNOWN_SCALER = "PL105" Error "a `scalerType` that this server does not have";
    UNKNOWN_TYPE = "PL106" Error "a trigger type that KEDA does not have";
    DEPRECATED_KEY = "PL107" Warning "a key that KEDA no longer reads";
    NOT_FROM_METADATA = "PL108" Warning "a key that KEDA reads from an `authenticationRef` only";
    OURS_ALONE = "PL109" Warning "a key of Plimsoll's in a built-in trigger";
    NO_VARIABLE = "PL110" Error "a variable that the workload does not have";

    NO_MAXIMUM = "PL201" Warning "no `maxReplicaCount`";
    MIN_OVER_MAX = "PL202" Error "`minReplicaCount` above `maxReplicaCount`";
    IDLE_NOT_BELOW_MIN = "PL203" Error "`idleReplicaCount` not below `minReplicaCount`";
    IDLE_NOT_ZERO = "PL204" Warning "`idleReplicaCount` other than 0";
    NO_FALLBACK = "PL205" Note "no `fallback`";
    FALLBACK_UNUSABLE = "PL206" Error "a `fallback` that can never be used";
    SAME_NAME = "PL207" Error "two triggers of one name";
    SAME_TARGET = "PL208" Error "two autoscalers of one workload";
    SAME_HPA = "PL209" Error "two ScaledObjects of one HPA";
    NEVER_ZERO = "PL210" Error "CPU and memory alone cannot scale to zero";
    LONG_NAME = "PL211" Error "a name that is too long";
    POLLING_WITHOUT_EFFECT = "PL212" Warning "`pollingInterval` without effect";
    POLLING_TOO_SHORT = "PL213" Warning "`pollingInterval` too short";
    POLLING_NOT_SENT = "PL214" Warning "`spec.pollingInterval` does not reach an external scaler";
    COOLDOWN_WITHOUT_EFFECT = "PL215" Warning "`cooldownPeriod` without effect";
    COOLDOWN_TOO_SHORT = "PL216" Warning "`cooldownPeriod` shorter than the work";
    SCALE_DOWN_DEFAULT = "PL217" Note "scale-down left at its default";
    BAD_FORMULA = "PL218" Error "`scalingModifiers` that KEDA refuses";
    PUSH_PAST_ACTIVATION = "PL219" Warning "a push goes past `activationTarget`";
    PUSH_IN_JOB = "PL220" Warning "`external-push` in a ScaledJob";
    CACHED_METRICS = "PL221" Warning "`useCachedMetrics` with an external scaler";
    NOT_CACHEABLE = "PL222" Error "`useCachedMetrics` where there is none";
    BAD_METRIC_TYPE = "PL223" Error "a `metricType` that the trigger does not have";
    PAUSED = "PL224" Note "paused";
    WORK_NOT_COUNTED = "PL225" Warning "work under way is not counted";
    NO_REQUESTS = "PL226" Error "a CPU or memory trigger without resource requests";
    ZERO_IN_OUTAGE = "PL227" Note "to zero while the source cannot be read";

    SECRET_IN_METADATA = "PL301" Warning "a secret in the metadata";
    UNNAMED_REFERENCE = "PL302" Error "an `authenticationRef` without a name";
    REFERENCE_NOT_HERE = "PL303" Note "an `authenticationRef` to what is not in the input";
    REFERENCE_MISSING = "PL304" Warning "an `authenticationRef` that is probably misspelt";
    OTHER_NAMESPACE = "PL305" Error "a TriggerAuthentication in another namespace";
    WRONG_KIND = "PL306" Error "an `authenticationRef` of the wrong kind";
    NO_LOGIN = "PL307" Error "a login is missing";
    UNKNOWN_PARAMETER = "PL308" Warning "a parameter that the scaler does not have";
    NO_SUCH_KEY = "PL309" Error "a Secret or ConfigMap without the key";
    TWINS = "PL310" Error "twins with different credentials";
    TWO_REFERENCES = "PL311" Error "two references in one trigger";
    OLD_IDENTITY = "PL312" Warning "a pod identity that KEDA has given up";
    BAD_AUTHENTICATION = "PL313" Error "an authentication that KEDA refuses";

    NO_ADDRESS = "PL401" Error "no usable `scalerAddress`";
    CLUSTER_IP = "PL402" Warning "`scalerAddress` is a Service with an IP of its own";
    MEANT_FOR_BROKER = "PL403" Warning "`enableTLS` or `unsafeSsl` meant for the broker";
    CHANNEL_KEY = "PL404" Error "a key of KEDA's channel that KEDA cannot read";
    CHANNEL_SECRET = "PL405" Warning "certificates of KEDA's channel in the metadata";

    UNREAD = "PL501" Error "the source cannot be read";
    ABOVE_PARTITIONS = "PL502" Warning "more replicas than partitions";
    NEVER_COMMITTED = "PL503" Warning "`latest`, and the group has never committed";
}
