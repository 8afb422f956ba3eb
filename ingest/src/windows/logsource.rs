//! Owns which logsources a record of a Windows event log answers to: service by channel, categories by channel, event id
//! and, for registry keys, event type. Facts of the Sigma specification's logsource appendix and of Windows itself, where
//! the two differ both; how a record is read is not known here.

use rustc_hash::FxHashMap;
use sandsift_sigma::EventSource;
use std::sync::{Arc, LazyLock};

/// Sysmon's channel.
pub(crate) const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";
/// The Security log.
pub(crate) const SECURITY: &str = "Security";
/// The channel of Defender.
pub(crate) const DEFENDER: &str = "Microsoft-Windows-Windows Defender/Operational";
/// The channel of WMI's activity.
pub(crate) const WMI: &str = "Microsoft-Windows-WMI-Activity/Operational";
const POWERSHELL: &str = "Microsoft-Windows-PowerShell/Operational";
const POWERSHELL_CORE: &str = "PowerShellCore/Operational";
const POWERSHELL_CLASSIC: &str = "Windows PowerShell";

/// Services and their channels. A service may stand several times; names of channels that the specification has and
/// Windows has not are marked.
const SERVICES: &[(&str, &[&str])] = &[
    ("application", &["Application"]),
    (
        "application-experience",
        &[
            "Microsoft-Windows-Application-Experience/Program-Telemetry",
            "Microsoft-Windows-Application-Experience/Program-Compatibility-Assistant",
        ],
    ),
    (
        "applocker",
        &[
            "Microsoft-Windows-AppLocker/MSI and Script",
            "Microsoft-Windows-AppLocker/EXE and DLL",
            "Microsoft-Windows-AppLocker/Packaged app-Deployment",
            "Microsoft-Windows-AppLocker/Packaged app-Execution",
        ],
    ),
    ("appmodel-runtime", &["Microsoft-Windows-AppModel-Runtime/Admin"]),
    ("appxdeployment-server", &["Microsoft-Windows-AppXDeploymentServer/Operational"]),
    ("appxpackaging-om", &["Microsoft-Windows-AppxPackaging/Operational"]),
    ("bitlocker", &["Microsoft-Windows-BitLocker/BitLocker Management"]),
    ("bits-client", &["Microsoft-Windows-Bits-Client/Operational"]),
    ("capi2", &["Microsoft-Windows-CAPI2/Operational"]),
    (
        "certificateservicesclient-lifecycle-system",
        &["Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational"],
    ),
    ("codeintegrity-operational", &["Microsoft-Windows-CodeIntegrity/Operational"]),
    ("dhcp", &["Microsoft-Windows-DHCP-Server/Operational"]),
    ("diagnosis-scripted", &["Microsoft-Windows-Diagnosis-Scripted/Operational"]),
    // The first is the specification's.
    ("dns-client", &["Microsoft-Windows-DNS Client Events/Operational", "Microsoft-Windows-DNS-Client/Operational"]),
    ("dns-server", &["DNS Server"]),
    ("dns-server-analytic", &["Microsoft-Windows-DNS-Server/Analytical", "Microsoft-Windows-DNSServer/Analytical"]),
    ("dns-server-audit", &["Microsoft-Windows-DNS-Server/Audit", "Microsoft-Windows-DNSServer/Audit"]),
    ("driver-framework", &["Microsoft-Windows-DriverFrameworks-UserMode/Operational"]),
    ("firewall-as", &["Microsoft-Windows-Windows Firewall With Advanced Security/Firewall"]),
    ("hyper-v-worker", &["Microsoft-Windows-Hyper-V-Worker", "Microsoft-Windows-Hyper-V-Worker-Admin"]),
    ("iis-configuration", &["Microsoft-IIS-Configuration/Operational"]),
    ("kernel-event-tracing", &["Microsoft-Windows-Kernel-EventTracing", "Microsoft-Windows-Kernel-EventTracing/Admin"]),
    (
        "kernel-shimengine",
        &["Microsoft-Windows-Kernel-ShimEngine/Operational", "Microsoft-Windows-Kernel-ShimEngine/Diagnostic"],
    ),
    ("ldap", &["Microsoft-Windows-LDAP-Client/Debug"]),
    ("ldap_debug", &["Microsoft-Windows-LDAP-Client/Debug"]),
    ("lsa-server", &["Microsoft-Windows-LSA/Operational"]),
    (
        "microsoft-servicebus-client",
        &[
            "Microsoft-ServiceBus-Client/Operational",
            "Microsoft-ServiceBus-Client/Admin",
            "Microsoft-ServiceBus-Client",
        ],
    ),
    ("msexchange-management", &["MSExchange Management"]),
    ("ntfs", &["Microsoft-Windows-Ntfs/Operational"]),
    ("ntlm", &["Microsoft-Windows-NTLM/Operational"]),
    ("openssh", &["OpenSSH/Operational"]),
    ("powershell", &[POWERSHELL, POWERSHELL_CORE]),
    ("powershell-classic", &[POWERSHELL_CLASSIC]),
    ("printservice-admin", &["Microsoft-Windows-PrintService/Admin"]),
    ("printservice-operational", &["Microsoft-Windows-PrintService/Operational"]),
    ("security", &[SECURITY]),
    (
        "security-mitigations",
        &[
            "Microsoft-Windows-Security-Mitigations/Kernel Mode",
            "Microsoft-Windows-Security-Mitigations/User Mode",
            "Microsoft-Windows-Security-Mitigations/KernelMode",
            "Microsoft-Windows-Security-Mitigations/UserMode",
        ],
    ),
    ("sense", &["Microsoft-Windows-SENSE/Operational"]),
    ("servicebus-client", &["Microsoft-ServiceBus-Client/Operational", "Microsoft-ServiceBus-Client/Admin"]),
    ("shell-core", &["Microsoft-Windows-Shell-Core/Operational"]),
    ("smbclient-connectivity", &["Microsoft-Windows-SmbClient/Connectivity"]),
    ("smbclient-security", &["Microsoft-Windows-SmbClient/Security"]),
    ("smbserver-connectivity", &["Microsoft-Windows-SMBServer/Connectivity"]),
    ("sysmon", &[SYSMON]),
    ("system", &["System"]),
    ("taskscheduler", &["Microsoft-Windows-TaskScheduler/Operational"]),
    ("terminalservices-localsessionmanager", &["Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"]),
    ("vhdmp", &["Microsoft-Windows-VHDMP/Operational", "Microsoft-Windows-VHDMP-Operational"]),
    ("windefend", &[DEFENDER]),
    ("wmi", &[WMI]),
];

/// Categories of an event id in a channel.
const CATEGORIES: &[(&str, u32, &[&str])] = &[
    (SYSMON, 1, &["process_creation"]),
    (SYSMON, 2, &["file_change"]),
    (SYSMON, 3, &["network_connection"]),
    (SYSMON, 4, &["sysmon_status"]),
    (SYSMON, 5, &["process_termination"]),
    (SYSMON, 6, &["driver_load"]),
    (SYSMON, 7, &["image_load"]),
    (SYSMON, 8, &["create_remote_thread"]),
    (SYSMON, 9, &["raw_access_thread"]),
    (SYSMON, 10, &["process_access"]),
    (SYSMON, 11, &["file_event"]),
    (SYSMON, KEY, &["registry_event"]),
    (SYSMON, 13, &["registry_event", "registry_set"]),
    (SYSMON, 14, &["registry_event", "registry_rename"]),
    (SYSMON, 15, &["create_stream_hash"]),
    (SYSMON, 16, &["sysmon_status"]),
    (SYSMON, 17, &["pipe_created"]),
    (SYSMON, 18, &["pipe_created"]),
    (SYSMON, 19, &["wmi_event"]),
    (SYSMON, 20, &["wmi_event"]),
    (SYSMON, 21, &["wmi_event"]),
    (SYSMON, 22, &["dns_query"]),
    (SYSMON, 23, &["file_delete"]),
    // The second is the older name.
    (SYSMON, 24, &["clipboard_capture", "clipboard_change"]),
    (SYSMON, 25, &["process_tampering"]),
    (SYSMON, 26, &["file_delete_detected"]),
    (SYSMON, 27, &["file_block_executable"]),
    (SYSMON, 28, &["file_block_shredding"]),
    (SYSMON, 29, &["file_executable_detected"]),
    (SYSMON, 255, &["sysmon_error"]),
    (POWERSHELL_CLASSIC, 400, &["ps_classic_start"]),
    (POWERSHELL_CLASSIC, 600, &["ps_classic_provider_start"]),
    (POWERSHELL_CLASSIC, 800, &["ps_classic_script"]),
    (POWERSHELL, 4103, &["ps_module"]),
    (POWERSHELL, 4104, &["ps_script"]),
    (POWERSHELL_CORE, 4103, &["ps_module"]),
    (POWERSHELL_CORE, 4104, &["ps_script"]),
];

/// Sysmon's event about a registry key, which is an addition or a deletion by its type.
const KEY: u32 = 12;

/// Channels by their providers, for records that were exported without their channel.
const PROVIDERS: &[(&str, &str)] = &[
    ("Microsoft-Windows-Sysmon", SYSMON),
    ("Microsoft-Windows-Security-Auditing", SECURITY),
    ("Microsoft-Windows-PowerShell", POWERSHELL),
    ("PowerShellCore", POWERSHELL_CORE),
    ("PowerShell", POWERSHELL_CLASSIC),
    ("Service Control Manager", "System"),
    ("Microsoft-Windows-Windows Defender", DEFENDER),
    ("Microsoft-Windows-TaskScheduler", "Microsoft-Windows-TaskScheduler/Operational"),
    ("Microsoft-Windows-WMI-Activity", WMI),
];

/// What a channel's records answer to.
#[derive(Debug)]
pub(crate) struct Channel {
    /// As the table writes it.
    pub name: &'static str,
    base: Arc<EventSource>,
    by_id: FxHashMap<u32, Arc<EventSource>>,
    key_added: Option<Arc<EventSource>>,
    key_deleted: Option<Arc<EventSource>>,
}

impl Channel {
    /// The source of a record by its event id; `event_type` is looked at for registry keys alone.
    pub(crate) fn source(&self, id: u32, event_type: impl FnOnce() -> Option<KeyChange>) -> &Arc<EventSource> {
        if id == KEY && self.key_added.is_some() {
            let changed = match event_type() {
                Some(KeyChange::Added) => self.key_added.as_ref(),
                Some(KeyChange::Deleted) => self.key_deleted.as_ref(),
                None => None,
            };
            if let Some(source) = changed {
                return source;
            }
        }
        self.by_id.get(&id).unwrap_or(&self.base)
    }
}

/// What happened to a registry key, by Sysmon's `EventType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyChange {
    Added,
    Deleted,
}

impl KeyChange {
    /// Reads `EventType`.
    pub(crate) fn of(event_type: &str) -> Option<Self> {
        match event_type {
            t if t.eq_ignore_ascii_case("CreateKey") => Some(Self::Added),
            t if t.eq_ignore_ascii_case("DeleteKey") || t.eq_ignore_ascii_case("DeleteValue") => Some(Self::Deleted),
            _ => None,
        }
    }
}

static CHANNELS: LazyLock<FxHashMap<String, Channel>> = LazyLock::new(|| {
    let mut services: FxHashMap<&'static str, Vec<&'static str>> = FxHashMap::default();
    for (service, channels) in SERVICES {
        for channel in *channels {
            services.entry(channel).or_default().push(service);
        }
    }
    let windows = Some("windows");
    services
        .into_iter()
        .map(|(name, services)| {
            let of =
                |categories: &[&str]| EventSource::new(windows, categories.iter().copied(), services.iter().copied());
            let by_id = CATEGORIES.iter().filter(|(c, ..)| *c == name).map(|(_, id, c)| (*id, of(c))).collect();
            let sysmon = name == SYSMON;
            let channel = Channel {
                name,
                base: of(&[]),
                by_id,
                key_added: sysmon.then(|| of(&["registry_event", "registry_add"])),
                key_deleted: sysmon.then(|| of(&["registry_event", "registry_delete"])),
            };
            (name.to_ascii_lowercase(), channel)
        })
        .collect()
});

/// What a record of an unknown channel answers to: the product alone.
static WINDOWS: LazyLock<Arc<EventSource>> = LazyLock::new(|| EventSource::new(Some("windows"), [], []));

/// The source of records whose channel no rule asks for.
pub(crate) fn windows() -> &'static Arc<EventSource> {
    &WINDOWS
}

/// Finds a channel by its name, without regard to case.
pub(crate) fn channel(name: &str) -> Option<&'static Channel> {
    // Names are ASCII; one that is not is no channel that a rule asks for.
    let mut buffer = [0u8; 128];
    let buffer = buffer.get_mut(..name.len())?;
    buffer.copy_from_slice(name.as_bytes());
    buffer.make_ascii_lowercase();
    CHANNELS.get(std::str::from_utf8(buffer).ok()?)
}

/// Finds the channel that a provider writes to, for records without one.
pub(crate) fn channel_of_provider(provider: &str) -> Option<&'static Channel> {
    let (_, name) = PROVIDERS.iter().find(|(p, _)| p.eq_ignore_ascii_case(provider))?;
    channel(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, id: u32, change: Option<KeyChange>) -> Arc<EventSource> {
        Arc::clone(channel(name).unwrap().source(id, || change))
    }

    #[test]
    fn a_record_answers_to_its_channels_service_and_its_ids_categories() {
        let set = source("MICROSOFT-windows-sysmon/operational", 13, None);
        assert_eq!(set.product.as_deref(), Some("windows"));
        assert_eq!(set.services, ["sysmon".into()]);
        assert_eq!(set.categories, ["registry_event".into(), "registry_set".into()]);
        assert_eq!(source("Security", 4688, None).services, ["security".into()]);
        assert!(source("Application", 1, None).categories.is_empty(), "ids count in their own channel alone");
    }

    #[test]
    fn a_key_is_added_or_deleted_by_the_events_type() {
        let of = |t: &str| source(SYSMON, 12, KeyChange::of(t)).categories.clone();
        assert_eq!(of("CreateKey"), ["registry_add".into(), "registry_event".into()]);
        assert_eq!(of("DeleteValue"), ["registry_delete".into(), "registry_event".into()]);
        assert_eq!(of("Unheard"), ["registry_event".into()]);
    }

    #[test]
    fn the_specifications_channel_names_and_the_real_ones_both_count() {
        for name in ["Microsoft-Windows-DNS Client Events/Operational", "Microsoft-Windows-DNS-Client/Operational"] {
            assert_eq!(source(name, 3008, None).services, ["dns-client".into()]);
        }
        let ldap = source("Microsoft-Windows-LDAP-Client/Debug", 30, None);
        assert_eq!(ldap.services, ["ldap".into(), "ldap_debug".into()]);
    }
}
