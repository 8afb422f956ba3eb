//! Owns the child's side: confine, then one job after another until the parent closes the pipe.

use super::Limits;
use super::frame::{Answer, read_job, read_json, write_json};
use crate::execute::Executor;
use std::io::{self, BufReader, BufWriter, Write, stdin, stdout};

/// Serves a parent over standard input and output; what the hidden subcommand does once its rules are read.
///
/// On Linux the process gives up files, network and further processes for good before it takes its first job, and ends
/// where it cannot: an executor that only seems confined would be worse than none.
pub fn serve(executor: &dyn Executor) -> io::Result<()> {
    let (mut input, mut output) = (BufReader::new(stdin().lock()), BufWriter::new(stdout().lock()));
    let limits: Limits = read_json(&mut input)?;
    #[cfg(target_os = "linux")]
    super::confine::confine(&limits)?;
    write_json(&mut output, &Answer::Ready(executor.ruleset()))?;
    output.flush()?;
    while let Some(job) = read_job(&mut input)? {
        #[cfg(target_os = "linux")]
        super::confine::limit_cpu(&limits)?;
        let answer = Answer::Done(Box::new(executor.execute(job)));
        write_json(&mut output, &answer)?;
        output.flush()?;
    }
    Ok(())
}
