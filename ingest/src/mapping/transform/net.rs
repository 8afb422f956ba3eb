//! Owns the transforms of addresses and URLs.

use super::Around;
use std::net::IpAddr;

type Arguments = [Box<str>];

fn address(text: &str) -> Option<IpAddr> {
    text.trim().trim_start_matches('[').trim_end_matches(']').parse().ok()
}

pub(super) fn ipv6(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    address(text).map(|ip| ip.is_ipv6().to_string())
}

pub(super) fn ip(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    address(text).map(|_| text.trim().to_owned())
}

pub(super) fn not_ip(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    address(text).is_none().then(|| text.to_owned())
}

/// The authority and what stands behind it.
fn split_url(url: &str) -> (&str, &str) {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    behind.find(['/', '?', '#']).map_or((behind, ""), |at| behind.split_at(at))
}

pub(super) fn url_host(url: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    let (authority, _) = split_url(url.trim());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or(v6, |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    (!host.is_empty()).then(|| host.to_owned())
}

pub(super) fn url_path(url: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    let (_, rest) = split_url(url.trim());
    let path = rest.split(['?', '#']).next().unwrap_or("");
    Some(if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

pub(super) fn url_query(url: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    let (_, query) = split_url(url.trim()).1.split_once("?")?;
    Some(query.split('#').next().unwrap_or("").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: Around<'static> = Around::NOWHERE;

    #[test]
    fn urls_come_apart() {
        let url = "https://user@evil.example:8443/a/b.php?x=1#y";
        assert_eq!(url_host(url, &[], &NOWHERE).as_deref(), Some("evil.example"));
        assert_eq!(url_path(url, &[], &NOWHERE).as_deref(), Some("/a/b.php"));
        assert_eq!(url_query(url, &[], &NOWHERE).as_deref(), Some("x=1"));
        assert_eq!(url_host("http://[::1]:80/", &[], &NOWHERE).as_deref(), Some("::1"));
        assert_eq!(url_path("http://a", &[], &NOWHERE).as_deref(), Some("/"));
        assert_eq!(url_query("http://a/b", &[], &NOWHERE), None);
    }

    #[test]
    fn addresses_know_their_family() {
        assert_eq!(ipv6("::1", &[], &NOWHERE).as_deref(), Some("true"));
        assert_eq!(ipv6("10.0.0.1", &[], &NOWHERE).as_deref(), Some("false"));
        assert_eq!(ipv6("host", &[], &NOWHERE), None);
        assert_eq!(not_ip("host", &[], &NOWHERE).as_deref(), Some("host"));
    }
}
