//! Turns KEDA's proto into Rust without `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use tonic_prost_build::{Config, configure};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["proto/externalscaler.proto"], ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("externalscaler.bin"), prost::Message::encode_to_vec(&descriptors))?;
    let mut config = Config::new();
    // Metadata in a fixed order: it is compared and hashed on every call.
    config.btree_map(["."]);
    configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}
