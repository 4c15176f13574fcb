//! Turns KEDA's proto into Rust without `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use tonic_prost_build::configure;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["proto/externalscaler.proto"], ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("externalscaler.bin"), prost::Message::encode_to_vec(&descriptors))?;
    configure()
        // Metadata in a fixed order: it is compared and hashed on every call.
        .btree_map(".")
        .codec_path("crate::grpc::codec::SmallMessages")
        .compile_fds(descriptors)?;
    Ok(())
}
