//! What a fresh machine lacks, and how it is installed.

mod machine;
mod need;

use anyhow::{Context, Result, bail};

use self::machine::can_use_apt;
pub use self::machine::chromium;
pub use self::need::Need;
use crate::repo::{Repo, shown};
use crate::stages::Stages;

/// Installs what is missing, and says what and why before it does.
///
/// # Errors
/// An installation fails, or needs rights that this user has not: the error gives the command.
pub fn ensure(repo: &Repo, needs: &[Need], stages: &mut Stages) -> Result<()> {
    stages.need("setup", || {
        for need in needs.iter().filter(|need| !need.present(repo)) {
            eprintln!("missing: {}; {}.", need.what(), need.why());
            if need.needs_root() && !can_use_apt(repo) {
                let commands: Vec<_> = need
                    .commands(repo)
                    .iter()
                    .map(|c| format!("sudo {}", shown(c)))
                    .collect();
                bail!(
                    "{} is missing, and installing it needs root. On Debian: {}",
                    need.what(),
                    commands.join(" && ")
                );
            }
            need.install(repo)
                .with_context(|| format!("cannot install {}", need.what()))?;
        }
        Ok(())
    })
}

/// Prints what [`ensure`] would do.
pub fn describe(repo: &Repo, needs: &[Need]) -> Result<()> {
    for need in needs {
        if need.present(repo) {
            println!("{}: there", need.what());
            continue;
        }
        println!("{}: missing; {}", need.what(), need.why());
        for command in need.commands(repo) {
            println!("    $ {}", shown(&command));
        }
    }
    Ok(())
}
