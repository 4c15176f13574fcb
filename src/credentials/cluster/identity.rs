//! `podIdentity`: whose rights at a cloud, said by the names that our backends read.
//!
//! What KEDA calls the operator's identity is this server's own. Not for: tokens (`identity`).

use super::{
    draft::Draft,
    resolve::{Case, Pod},
    visit::Visit,
};
use crate::{
    credentials::stores::spec::PodIdentity,
    error::{ReadError, quoted},
};

const PROVIDER: &str = "podIdentity";
const ROLE: &str = "awsRoleArn";
/// With which a ServiceAccount names its role.
const ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// Puts what `identity` says into `draft`.
pub async fn resolve(
    case: Case<'_>,
    identity: &PodIdentity,
    visit: &mut Visit<'_>,
    draft: &mut Draft,
    pod: &mut Pod,
) -> Result<(), ReadError> {
    let origin = format!("`podIdentity` of {}", case.by());
    match identity.provider.as_str() {
        "" | "none" => return Ok(()),
        "aws" => {
            let role = identity.role_arn.as_deref();
            match (identity.is_of_workload(), role) {
                (true, Some(_)) => {
                    return Err(case.invalid("`roleArn` and `identityOwner: workload` exclude each other, drop one"));
                }
                (true, None) => {
                    let role = role_of_workload(case, visit, pod, case.own).await?.map_err(|why| case.invalid(&why))?;
                    draft.set_text(ROLE, &role, &*origin);
                }
                (false, Some(role)) => {
                    draft.set_text(ROLE, role, &*origin);
                    if let Some(id) = identity.external_id.as_deref().filter(|id| !id.is_empty()) {
                        draft.set_text("awsExternalID", id, &*origin);
                    }
                }
                (false, None) => {}
            }
        }
        "aws-eks" => match role_of_workload(case, visit, pod, case.own).await? {
            Ok(role) => draft.set_text(ROLE, &role, &*origin),
            Err(why) => draft.lack(ROLE, &why),
        },
        "azure-workload" => {
            for (parameter, value) in
                [("identityId", &identity.identity_id), ("identityTenantId", &identity.identity_tenant_id)]
            {
                match value.as_deref() {
                    Some("") if parameter == "identityId" => {
                        return Err(case.invalid("`identityId` must not be empty, leave it out for the server's own"));
                    }
                    None | Some("") => {}
                    Some(value) => draft.set_text(parameter, value, &*origin),
                }
            }
        }
        "gcp" => {}
        other => {
            return Err(case.invalid(&format!(
                "`podIdentity.provider` `{}` is none that this server has: use `aws`, `aws-eks`, `azure-workload`, `gcp` or `none`",
                quoted(other)
            )));
        }
    }
    draft.set_text(PROVIDER, &identity.provider, &*origin);
    Ok(())
}

/// The role that the annotation of the workload's ServiceAccount names; in words, why there is none. KEDA uses the operator's
/// own identity where there is no pod template: we never do in place of the workload's.
pub async fn role_of_workload(
    case: Case<'_>,
    visit: &mut Visit<'_>,
    pod: &mut Pod,
    namespace: &str,
) -> Result<Result<String, String>, ReadError> {
    let name = match pod.of(case, visit).await? {
        Ok(spec) => spec.service_account_name.clone().filter(|name| !name.is_empty()),
        Err(why) => return Ok(Err(why)),
    };
    let name = name.unwrap_or_else(|| "default".to_owned());
    Ok(visit.account(namespace, &name).await?.and_then(|account| {
        let role = account.role_arn.clone().filter(|role| !role.is_empty());
        role.ok_or_else(|| {
            format!("ServiceAccount `{namespace}/{}` of the workload has no annotation `{ANNOTATION}`", quoted(&name))
        })
    }))
}
