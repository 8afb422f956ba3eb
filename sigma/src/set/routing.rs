//! Owns logsource routing: which rules an event meets.

use crate::event::EventSource;
use crate::rule::LogSource;
use serde::Serialize;

/// Which rules of other platforms an event meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CrossPlatform {
    /// Rules for Linux also meet events of macOS and the other way round, where both name a category.
    #[default]
    Unix,
    /// Rules for Windows meet events of Linux and macOS too, where both name a category.
    All,
    /// Only rules of the event's own product.
    None,
}

/// How a rule meets an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// By its own product, or by none.
    Direct,
    /// As a rule of another platform.
    CrossPlatform,
}

/// Whether a rule's logsource meets an event's source.
///
/// What the rule names, the event must have; an event without a product meets only rules without one. A rule of
/// another platform needs a category, since services and channels are a platform's own.
pub fn route(rule: &LogSource, event: &EventSource, cross: CrossPlatform) -> Option<Route> {
    let named = |wanted: &Option<Box<str>>, has: &[Box<str>]| wanted.as_ref().is_none_or(|w| has.contains(w));
    if !named(&rule.category, &event.categories) || !named(&rule.service, &event.services) {
        return None;
    }
    let Some(wanted) = rule.product.as_deref() else { return Some(Route::Direct) };
    let product = event.product.as_deref()?;
    if product == wanted {
        return Some(Route::Direct);
    }
    let unix = |name: &str| matches!(name, "linux" | "macos");
    let crosses = rule.category.is_some()
        && unix(product)
        && match cross {
            CrossPlatform::None => false,
            CrossPlatform::Unix => unix(wanted),
            CrossPlatform::All => unix(wanted) || wanted == "windows",
        };
    crosses.then_some(Route::CrossPlatform)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(category: Option<&str>, product: Option<&str>, service: Option<&str>) -> LogSource {
        LogSource {
            category: category.map(Into::into),
            product: product.map(Into::into),
            service: service.map(Into::into),
        }
    }

    #[test]
    fn rules_meet_the_events_they_name() {
        use CrossPlatform::{All, None as Own, Unix};
        let macos = EventSource::new(Some("macOS"), ["process_creation"], ["endpoint"]);
        let bare = EventSource::new(None, ["process_creation"], []);
        let windows = EventSource::new(Some("windows"), ["registry_event", "registry_set"], ["sysmon"]);
        let creation = |product| rule(Some("process_creation"), product, None);
        let direct = Some(Route::Direct);
        let cross = Some(Route::CrossPlatform);
        assert_eq!(route(&creation(Some("macos")), &macos, Own), direct);
        assert_eq!(route(&creation(None), &macos, Own), direct);
        assert_eq!(route(&creation(Some("linux")), &macos, Unix), cross);
        assert_eq!(route(&creation(Some("linux")), &macos, Own), None);
        assert_eq!(route(&creation(Some("windows")), &macos, Unix), None);
        assert_eq!(route(&creation(Some("windows")), &macos, All), cross);
        assert_eq!(route(&rule(None, Some("linux"), None), &macos, Unix), None, "no category");
        assert_eq!(route(&rule(None, Some("linux"), Some("endpoint")), &macos, All), None, "no category");
        assert_eq!(route(&creation(Some("linux")), &bare, All), None);
        assert_eq!(route(&creation(None), &bare, Own), direct);
        assert_eq!(route(&rule(Some("registry_set"), Some("windows"), None), &windows, Own), direct);
        assert_eq!(route(&rule(Some("registry_set"), Some("linux"), None), &windows, All), None);
        assert_eq!(route(&rule(None, Some("windows"), Some("security")), &windows, Own), None);
    }
}
