#![doc = "The regression suite."]
