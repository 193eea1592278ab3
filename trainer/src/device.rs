//! Where tensors are computed: `--device auto|cpu|cuda[:N]|wgpu|remote:HOST:PORT,…`.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, Device, Tensor};
use kiln_runtime::panics::quietly_everywhere;
use thiserror::Error;

use crate::config::Precision;

/// What `--device` asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU if this build has one that works, else the CPU.
    #[default]
    Auto,
    /// burn's `flex` on all cores.
    Cpu,
    /// NVIDIA GPUs by index.
    Cuda(Vec<usize>),
    /// Any GPU that Vulkan, Metal or WebGPU reaches.
    Wgpu,
    /// Other machines that run `kiln worker`, as `HOST:PORT`.
    Remote(Vec<String>),
}

/// The devices of a run. The first holds the weights; with more than one, each computes a batch.
#[derive(Clone, Debug)]
pub struct Devices {
    /// At least one.
    pub list: Vec<Device>,
    /// What they are, for the log and `run.toml`.
    pub name: String,
    /// Whether all of them have matrix units for bf16.
    matrix_bf16: bool,
}

/// Why a device is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// `--device` was not understood.
    #[error("--device {0}: not a device; use auto, cpu, cuda, cuda:N, wgpu or remote:HOST:PORT,…")]
    Syntax(String),
    /// This binary was built without it.
    #[error("--device {device}: this kiln was built without it; build with `--features {feature}`")]
    NotBuilt {
        /// The device asked for.
        device: &'static str,
        /// The cargo feature.
        feature: &'static str,
    },
    /// It is built in, but did not answer.
    #[error(
        "--device {device}: it does not answer: install its driver, or use --device cpu; what was found: {cause}"
    )]
    Absent {
        /// The device asked for.
        device: String,
        /// What was found.
        cause: String,
    },
    /// It cannot compute in bf16.
    #[error("--precision bf16: {0} does not have it; use auto or f32")]
    NoBf16(String),
    /// A driver or a worker failed in the middle of the work.
    #[error("--device {device}: {cause}")]
    Failed {
        /// The device.
        device: String,
        /// What it said.
        cause: String,
    },
    /// A worker could not be reached.
    #[error(
        "--device remote:{address}: {cause}; is `kiln worker --listen {address}` running there?"
    )]
    Unreachable {
        /// The worker.
        address: String,
        /// What was found.
        cause: String,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let syntax = || DeviceError::Syntax(text.into());
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        match (kind, rest) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("wgpu", None) => Ok(Self::Wgpu),
            ("cuda", None) => Ok(Self::Cuda(vec![0])),
            ("cuda", Some(list)) => {
                let indices = list.split(',').map(|index| index.parse().ok());
                indices
                    .collect::<Option<_>>()
                    .map(Self::Cuda)
                    .ok_or_else(syntax)
            }
            ("remote", Some(list)) => {
                let hosts: Vec<_> = list.split(',').map(str::to_owned).collect();
                let valid = |host: &String| {
                    let port = host.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                    matches!(port, Some(Ok(_)))
                };
                hosts
                    .iter()
                    .all(valid)
                    .then_some(Self::Remote(hosts))
                    .ok_or_else(syntax)
            }
            _ => Err(syntax()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(list) => {
                let list: Vec<_> = list.iter().map(usize::to_string).collect();
                write!(f, "cuda:{}", list.join(","))
            }
            Self::Wgpu => f.write_str("wgpu"),
            Self::Remote(hosts) => write!(f, "remote:{}", hosts.join(",")),
        }
    }
}

impl DeviceChoice {
    /// Opens the devices and computes one small thing on each, so that an absent driver is known
    /// before any work is done.
    pub fn open(&self) -> Result<Devices, DeviceError> {
        match self {
            Self::Auto => Ok(auto()),
            Self::Cpu => Ok(cpu()),
            Self::Cuda(indices) => cuda(indices),
            Self::Wgpu => wgpu(Adapter::Best),
            Self::Remote(hosts) => remote(hosts),
        }
    }
}

/// Which of the adapters that wgpu finds.
#[derive(Clone, Copy)]
enum Adapter {
    /// The best, even if it is a program on the CPU, slower than the CPU is by itself.
    Best,
    /// The first graphics card.
    Hardware,
}

fn cpu() -> Devices {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Devices {
        list: vec![Device::flex()],
        name: format!("cpu ({threads} threads)"),
        matrix_bf16: false,
    }
}

fn auto() -> Devices {
    let trials = [|| cuda(&[0]), || wgpu(Adapter::Hardware)];
    for open in trials {
        match open() {
            Ok(devices) => return devices,
            Err(DeviceError::NotBuilt { .. }) => {}
            Err(error) => tracing::info!("{error}"),
        }
    }
    let mut devices = cpu();
    devices.name.push_str(", as no GPU is to be had");
    devices
}

/// Computes `1 + 1` on the device; drivers' panics become errors.
#[cfg_attr(
    not(any(feature = "cuda", feature = "wgpu", feature = "remote", test)),
    allow(dead_code, reason = "the CPU needs no trial")
)]
fn works(device: &Device) -> Result<(), String> {
    let trial = quietly_everywhere(|| {
        let one = Tensor::<1>::ones([1], device);
        (one.clone() + one).into_data().iter::<f32>().next()
    });
    match trial? {
        Some(2.0) => Ok(()),
        found => Err(format!("it says that 1 + 1 is {found:?}")),
    }
}

impl Devices {
    /// Whether convolutions are to be computed in bf16.
    ///
    /// # Errors
    /// It was asked for, and a device does not have it.
    pub fn bf16(&self, precision: Precision) -> Result<bool, DeviceError> {
        match precision {
            Precision::Auto => Ok(self.matrix_bf16),
            Precision::F32 => Ok(false),
            Precision::Bf16 => {
                let has = |device: &Device| device.supports_dtype(DType::BF16);
                match self.list.iter().all(has) {
                    true => Ok(true),
                    false => Err(DeviceError::NoBf16(self.name.clone())),
                }
            }
        }
    }

    /// Whether pictures go to the devices as bytes, to be normalised there. The CPU's worker threads
    /// normalise while they have them at hand.
    pub fn take_bytes(&self) -> bool {
        let has = |device: &Device| device.supports_dtype(DType::U8);
        !self.is_cpu() && self.list.iter().all(has)
    }

    fn is_cpu(&self) -> bool {
        self.list.iter().all(|device| *device == Device::flex())
    }

    /// Does `work`. burn panics where a driver fails or a worker is lost: such a panic becomes an
    /// error. On the CPU there is no driver, and a panic is a bug that is not to be hidden.
    pub fn guard<T>(&self, work: impl FnOnce() -> T) -> Result<T, DeviceError> {
        let plain = cfg!(not(any(feature = "cuda", feature = "wgpu")));
        if plain && self.is_cpu() {
            return Ok(work());
        }
        quietly_everywhere(work).map_err(|cause| DeviceError::Failed {
            device: self.name.clone(),
            cause,
        })
    }
}

#[cfg(feature = "cuda")]
fn cuda(indices: &[usize]) -> Result<Devices, DeviceError> {
    let list: Vec<_> = indices.iter().map(|&index| Device::cuda(index)).collect();
    for (device, index) in list.iter().zip(indices) {
        works(device).map_err(|cause| DeviceError::Absent {
            device: format!("cuda:{index}"),
            cause,
        })?;
    }
    let name = DeviceChoice::Cuda(indices.to_vec()).to_string();
    let matrix_bf16 = list.iter().all(|device| device.supports_dtype(DType::BF16));
    Ok(Devices {
        list,
        name,
        matrix_bf16,
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: &[usize]) -> Result<Devices, DeviceError> {
    Err(DeviceError::NotBuilt {
        device: "cuda",
        feature: "cuda",
    })
}

#[cfg(feature = "wgpu")]
fn wgpu(adapter: Adapter) -> Result<Devices, DeviceError> {
    use burn::tensor::DeviceKind::{DefaultDevice, DiscreteGpu, IntegratedGpu, VirtualGpu};
    let kinds = match adapter {
        Adapter::Best => vec![DefaultDevice],
        Adapter::Hardware => vec![DiscreteGpu(0), IntegratedGpu(0), VirtualGpu(0)],
    };
    let mut cause = String::new();
    for kind in kinds {
        let opened = quietly_everywhere(|| Device::wgpu(kind));
        match opened.and_then(|device| works(&device).map(|()| device)) {
            Ok(device) => {
                return Ok(Devices {
                    list: vec![device],
                    name: "wgpu".into(),
                    matrix_bf16: false,
                });
            }
            Err(found) => cause = found,
        }
    }
    Err(DeviceError::Absent {
        device: "wgpu".into(),
        cause,
    })
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_: Adapter) -> Result<Devices, DeviceError> {
    Err(DeviceError::NotBuilt {
        device: "wgpu",
        feature: "wgpu",
    })
}

#[cfg(feature = "remote")]
fn remote(hosts: &[String]) -> Result<Devices, DeviceError> {
    use burn::tensor::remote::RemoteHost;
    let connect = |address: &String| {
        let unreachable = |cause| DeviceError::Unreachable {
            address: address.clone(),
            cause,
        };
        let host = RemoteHost::websocket(&format!("ws://{address}"));
        let device = Device::remote_options(&host).init();
        let device = device.map_err(|error| unreachable(error.to_string()))?;
        works(&device).map_err(unreachable)?;
        Ok(device)
    };
    Ok(Devices {
        list: hosts.iter().map(connect).collect::<Result<_, _>>()?,
        name: DeviceChoice::Remote(hosts.to_vec()).to_string(),
        matrix_bf16: false,
    })
}

#[cfg(not(feature = "remote"))]
fn remote(_: &[String]) -> Result<Devices, DeviceError> {
    Err(DeviceError::NotBuilt {
        device: "remote",
        feature: "remote",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_written() {
        for text in [
            "auto",
            "cpu",
            "cuda:0",
            "cuda:0,2",
            "wgpu",
            "remote:a:1,[::1]:2",
        ] {
            let choice: DeviceChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(vec![0])));
        for text in [
            "",
            "gpu",
            "cpu:1",
            "cuda:x",
            "cuda:",
            "remote:",
            "remote:a",
            "remote:a:99999",
        ] {
            let error = text.parse::<DeviceChoice>().unwrap_err();
            assert!(error.to_string().contains("use auto, cpu, cuda"), "{text}");
        }
    }

    #[test]
    fn the_cpu_works_and_auto_finds_something() {
        works(&Device::flex()).unwrap();
        assert!(!DeviceChoice::Auto.open().unwrap().list.is_empty());
    }

    #[test]
    fn the_cpu_computes_in_bf16_when_asked_only() {
        let cpu = DeviceChoice::Cpu.open().unwrap();
        let cases = [
            (Precision::Auto, false),
            (Precision::F32, false),
            (Precision::Bf16, true),
        ];
        for (precision, expected) in cases {
            assert_eq!(cpu.bf16(precision), Ok(expected), "{precision:?}");
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_device_that_is_not_built_in_names_its_feature() {
        let error = DeviceChoice::Cuda(vec![0]).open().unwrap_err();
        assert!(error.to_string().contains("--features cuda"));
    }
}
