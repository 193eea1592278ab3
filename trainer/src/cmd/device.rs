//! `kiln device`

mod about;
mod classify;
mod connect;
mod profile;
mod screen;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub use self::classify::ClassifyArgs;

/// `kiln device`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kiln device list
  kiln device classify qemu:lm3s6965evb photo.jpg --screen screen.png
  kiln device verify qemu:mps2-an386 --model model.int8.onnx
  kiln device profile /dev/ttyACM0 photo.jpg
  kiln device screen /dev/ttyACM0 screen.png

A board is a serial port, or qemu:BOARD: then Kiln builds the firmware around the model and starts QEMU with it.")]
pub struct DeviceArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DeviceCommand,
}

/// What can be done with boards.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Name the serial ports of this machine, and the boards that QEMU plays.
    List(about::ListArgs),
    /// Ask a board what it is and holds.
    Hello(about::HelloArgs),
    /// Say what is on pictures: the board does it, from the pixels on.
    Classify(classify::ClassifyArgs),
    /// Run the golden vectors on the board and compare every layer.
    Verify(verify::VerifyArgs),
    /// Show what each layer costs on the board.
    Profile(profile::ProfileArgs),
    /// Save what the board's display shows.
    Screen(screen::ScreenArgs),
}

/// Does it.
pub fn run(args: &DeviceArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        DeviceCommand::List(args) => about::list(args),
        DeviceCommand::Hello(args) => about::hello(args),
        DeviceCommand::Classify(args) => classify::run(args),
        DeviceCommand::Verify(args) => verify::run(args),
        DeviceCommand::Profile(args) => profile::run(args),
        DeviceCommand::Screen(args) => screen::run(args),
    }
}
