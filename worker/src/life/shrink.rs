//! Owns what goes when a result is too large: contexts, those of the lowest level first; counts stay exact, and
//! `incomplete` says how many went.

use super::publish::{rank, too_large};
use crate::error::Failure;
use sandsift_bus::message::{Analysis, Incomplete};

/// The code under which an analysis says that contexts were left out for its size.
pub(super) const CODE: &str = "result-size";

/// Removes contexts until the encoded analysis fits. The same analysis always loses the same contexts.
pub(super) fn shrink(
    analysis: &mut Analysis,
    limit: usize,
    encode: impl Fn(&Analysis) -> Result<Vec<u8>, Failure>,
) -> Result<Vec<u8>, Failure> {
    // The order in which contexts go: level by level, and within a level from the last context of the last rule.
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (index, result) in analysis.sigma_analysis_results.iter().enumerate() {
        order.extend((0..result.match_context.len()).map(|context| (index, context)));
    }
    let levels: Vec<_> = analysis.sigma_analysis_results.iter().map(|result| rank(&result.rule_level)).collect();
    // A rule's first context goes after all further ones of its level: it shows at least what happened.
    order.sort_by_key(|&(rule, context)| (levels[rule], context == 0, std::cmp::Reverse((rule, context))));
    let size_of = |&(rule, context): &(usize, usize)| {
        let context = &analysis.sigma_analysis_results[rule].match_context[context];
        serde_json::to_vec(context).map_or(0, |bytes| bytes.len() + 1)
    };
    let sizes: Vec<_> = order.iter().map(size_of).collect();

    // What `incomplete` will say takes room, too.
    const NOTE: usize = 256;
    let excess = (encode(analysis)?.len() + NOTE).saturating_sub(limit);
    let mut freed = 0;
    let gone = sizes.iter().take_while(|size| {
        let more = freed < excess;
        freed += if more { **size } else { 0 };
        more
    });
    let gone = gone.count();
    let mut doomed = order[..gone].to_vec();
    doomed.sort_unstable_by(|a, b| b.cmp(a));
    for (rule, context) in doomed {
        analysis.sigma_analysis_results[rule].match_context.remove(context);
    }
    analysis.incomplete.push(Incomplete {
        artifact: None,
        code: CODE.into(),
        count: gone as u64,
        detail: format!("contexts left out to keep the result within {limit} bytes (limits.result_bytes)"),
    });
    analysis.incomplete.sort();
    let body = encode(analysis)?;
    if body.len() > limit { Err(too_large("an analysis", body.len(), limit)) } else { Ok(body) }
}
