#![doc = include_str!("../guide/your-server.md")]
