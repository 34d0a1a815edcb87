//! Mistakes in steps.

use super::{check, step_message};

#[test]
fn steps() {
    let cases = [
        (
            "{ do = \"conect\" }",
            "x.toml:5: client[0].steps[1].do: unknown step \"conect\"; allowed: <steps>; did you mean \"connect\"?",
        ),
        (
            "{ do = 1 }",
            "x.toml:5: client[0].steps[1].do: an integer is not allowed here; allowed: a string, one of <steps>",
        ),
        (
            "{ for = \"1s\" }",
            "x.toml:5: client[0].steps[1].do: missing; allowed: <steps>",
        ),
        (
            "{ do = \"connect\", after = \"1s\" }",
            "x.toml:5: client[0].steps[1]: unknown field \"after\"; allowed: do",
        ),
        (
            "{ do = \"stall\" }",
            "x.toml:5: client[0].steps[1].for: missing; allowed: <duration>",
        ),
        (
            "{ do = \"stall\", for = 5 }",
            "x.toml:5: client[0].steps[1].for: an integer is not allowed here; allowed: <duration>",
        ),
        (
            "{ do = \"stall\", for = \"5 sekonds\" }",
            "x.toml:5: client[0].steps[1].for: \"5 sekonds\" is not valid: unknown time unit \"sekonds\", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations); allowed: <duration>",
        ),
        (
            "{ do = \"stall\", for = \"\" }",
            "x.toml:5: client[0].steps[1].for: \"\" is not valid: value was empty; allowed: <duration>",
        ),
        (
            "{ do = \"stall\", for = \"99999999999999999999s\" }",
            "x.toml:5: client[0].steps[1].for: \"99999999999999999999s\" is not valid: number is too large or cannot be represented without a lack of precision (values below 1ns are not supported); allowed: <duration>",
        ),
        (
            "{ do = \"stall\", for = \"8761h\" }",
            "x.toml:5: client[0].steps[1].for: \"8761h\" is not valid: longer than 365d; allowed: <duration>",
        ),
        (
            "{ do = \"await\", within = \"1s\" }",
            "x.toml:5: client[0].steps[1]: missing; allowed: one of status, eof, bytes",
        ),
        (
            "{ do = \"await\", status = 100 }",
            "x.toml:5: client[0].steps[1].within: missing; allowed: <duration>",
        ),
        (
            "{ do = \"await\", status = 100, eof = true, within = \"1s\" }",
            "x.toml:5: client[0].steps[1]: status and eof together; allowed: one of status, eof, bytes",
        ),
        (
            "{ do = \"await\", status = 99, within = \"1s\" }",
            "x.toml:5: client[0].steps[1].status: 99 is out of bounds; allowed: an integer from 100 to 999, or \"final\"",
        ),
        (
            "{ do = \"await\", status = \"last\", within = \"1s\" }",
            "x.toml:5: client[0].steps[1].status: unknown status \"last\"; allowed: \"final\", or an integer from 100 to 999",
        ),
        (
            "{ do = \"await\", status = true, within = \"1s\" }",
            "x.toml:5: client[0].steps[1].status: a boolean is not allowed here; allowed: an integer from 100 to 999, or \"final\"",
        ),
        (
            "{ do = \"await\", eof = false, within = \"1s\" }",
            "x.toml:5: client[0].steps[1].eof: false is not allowed here; allowed: true",
        ),
        (
            "{ do = \"await\", bytes = -1, within = \"1s\" }",
            "x.toml:5: client[0].steps[1].bytes: -1 is out of bounds; allowed: an integer from 0 to 1099511627776",
        ),
        (
            "{ do = \"read\" }",
            "x.toml:5: client[0].steps[1].bytes: missing; allowed: an integer from 0 to 1099511627776, or \"all\"",
        ),
        (
            "{ do = \"read\", bytes = \"some\" }",
            "x.toml:5: client[0].steps[1].bytes: unknown amount \"some\"; allowed: an integer from 0 to 1099511627776, or \"all\"",
        ),
        (
            "{ do = \"read\", bytes = 1.0 }",
            "x.toml:5: client[0].steps[1].bytes: a float is not allowed here; allowed: an integer from 0 to 1099511627776, or \"all\"",
        ),
        (
            "{ do = \"read\", bytes = 1099511627777 }",
            "x.toml:5: client[0].steps[1].bytes: 1099511627777 is out of bounds; allowed: an integer from 0 to 1099511627776, or \"all\"",
        ),
        (
            "{ do = \"read\", bytes = 10, size = 1 }",
            "x.toml:5: client[0].steps[1].every: missing; allowed: with size, <duration>",
        ),
        (
            "{ do = \"read\", bytes = 10, size = 0, every = \"1s\" }",
            "x.toml:5: client[0].steps[1].size: 0 is out of bounds; allowed: an integer from 1 to 67108864",
        ),
        (
            "{ do = \"read\", bytes = \"all\", size = 1, every = \"1s\" }",
            "x.toml:5: client[0].steps[1].bytes: \"all\" is not valid: a rate needs an end; allowed: with size and every, an integer from 0 to 1099511627776",
        ),
        (
            "{ do = \"reconnect\", after = \"1\" }",
            "x.toml:5: client[0].steps[1].after: \"1\" is not valid: time unit needed, for example 1sec or 1ms; allowed: <duration>",
        ),
        (
            "{ do = \"network\", blackhole = \"up\" }",
            "x.toml:5: client[0].steps[1].blackhole: unknown direction \"up\"; allowed: \"both\", \"to_server\" or \"to_client\"",
        ),
        (
            "{ do = \"network\", mtu = 0 }",
            "x.toml:5: client[0].steps[1].mtu: 0 is out of bounds; allowed: an integer from 1 to 65535",
        ),
        (
            "{ do = \"network\", jitter = 5 }",
            "x.toml:5: client[0].steps[1].jitter: an integer is not allowed here; allowed: <duration>",
        ),
        (
            "{ do = \"network\", bandwidth = 5 }",
            "x.toml:5: client[0].steps[1]: unknown field \"bandwidth\"; allowed: do, latency, jitter, mtu, loss, blackhole, heal",
        ),
        (
            "{ do = \"network\", heal = 1 }",
            "x.toml:5: client[0].steps[1].heal: an integer is not allowed here; allowed: true or false",
        ),
        (
            "{ do = \"network\", loss = 2 }",
            "x.toml:5: client[0].steps[1].loss: 2 is out of bounds; allowed: a number from 0.0 to 1.0",
        ),
    ];
    for (step, expected) in cases {
        check(&step_message(step), expected);
    }
}

#[test]
fn sends() {
    let cases = [
        (
            "{ do = \"send\" }",
            "x.toml:5: client[0].steps[1]: missing; allowed: one of head, body, chunk, last_chunk, bytes, all",
        ),
        (
            "{ do = \"send\", body = 1, head = {} }",
            "x.toml:5: client[0].steps[1]: head and body together; allowed: one of head, body, chunk, last_chunk, bytes, all",
        ),
        (
            "{ do = \"send\", chunk = 1, last_chunk = true, bytes = \"\" }",
            "x.toml:5: client[0].steps[1]: chunk and last_chunk and bytes together; allowed: one of head, body, chunk, last_chunk, bytes, all",
        ),
        (
            "{ do = \"send\", body = -1 }",
            "x.toml:5: client[0].steps[1].body: -1 is out of bounds; allowed: an integer from 0 to 67108864",
        ),
        (
            "{ do = \"send\", body = 67108865 }",
            "x.toml:5: client[0].steps[1].body: 67108865 is out of bounds; allowed: an integer from 0 to 67108864",
        ),
        (
            "{ do = \"send\", body = \"10\" }",
            "x.toml:5: client[0].steps[1].body: a string is not allowed here; allowed: an integer from 0 to 67108864",
        ),
        (
            "{ do = \"send\", last_chunk = false }",
            "x.toml:5: client[0].steps[1].last_chunk: false is not allowed here; allowed: true",
        ),
        (
            "{ do = \"send\", all = {} }",
            "x.toml:5: client[0].steps[1].all: a table is not allowed here; allowed: an array of pieces such as [{ head = {} }, { body = 10 }]",
        ),
        (
            "{ do = \"send\", all = [{ body = 1 },\n\n { body = 1, chunk = 2 }] }",
            "x.toml:7: client[0].steps[1].all[1]: body and chunk together; allowed: one of head, body, chunk, last_chunk, bytes",
        ),
        (
            "{ do = \"send\", all = [{ body = 1 }, 2] }",
            "x.toml:5: client[0].steps[1].all[1]: an integer is not allowed here; allowed: a table with one of head, body, chunk, last_chunk, bytes",
        ),
        (
            "{ do = \"send\", all = [{ }] }",
            "x.toml:5: client[0].steps[1].all[0]: missing; allowed: one of head, body, chunk, last_chunk, bytes",
        ),
        (
            "{ do = \"send\", all = [{ body = 1, part = [0, 1] }] }",
            "x.toml:5: client[0].steps[1].all[0]: unknown field \"part\"; allowed: head, body, chunk, last_chunk, bytes",
        ),
        (
            "{ do = \"send\", body = 9, part = [1] }",
            "x.toml:5: client[0].steps[1].part: [1] is not valid: not two elements; allowed: [from, to], two integers, the second not smaller",
        ),
        (
            "{ do = \"send\", body = 9, part = [3, 2] }",
            "x.toml:5: client[0].steps[1].part: [3, 2] is not valid: it ends before it begins; allowed: [from, to], two integers, the second not smaller",
        ),
        (
            "{ do = \"send\", body = 9, part = [0, \"2\"] }",
            "x.toml:5: client[0].steps[1].part[1]: a string is not allowed here; allowed: an integer from 0 to 67108864",
        ),
        (
            "{ do = \"send\", body = 9, part = 3 }",
            "x.toml:5: client[0].steps[1].part: an integer is not allowed here; allowed: [from, to], two integers, the second not smaller",
        ),
        (
            "{ do = \"send\", body = 9, size = 1 }",
            "x.toml:5: client[0].steps[1].every: missing; allowed: with size, <duration>",
        ),
        (
            "{ do = \"send\", body = 9, every = \"1s\" }",
            "x.toml:5: client[0].steps[1].size: missing; allowed: with every, an integer from 1 to 67108864",
        ),
        (
            "{ do = \"send\", body = 9, size = 0, every = \"1s\" }",
            "x.toml:5: client[0].steps[1].size: 0 is out of bounds; allowed: an integer from 1 to 67108864",
        ),
        (
            "{ do = \"send\", bytes = 1 }",
            "x.toml:5: client[0].steps[1].bytes: an integer is not allowed here; allowed: <escapes>",
        ),
        (
            "{ do = \"send\", bytes = \"\\q\" }",
            "x.toml:5: client[0].steps[1].bytes: \"\\q\" is not valid: unknown escape \\q; allowed: <escapes>",
        ),
        (
            "{ do = \"send\", bytes = '\\x1' }",
            "x.toml:5: client[0].steps[1].bytes: '\\x1' is not valid: \\x without two hexadecimal digits; allowed: <escapes>",
        ),
        (
            "{ do = \"send\", bytes = \"GET / HTTP/1.1\\r\\n\\u00zz\\r\\n and more than fits\" }",
            "x.toml:5: client[0].steps[1].bytes: \"GET / HTTP/1.1\\r\\n\\u00zz\\r\\n and more t... is not valid: \\u without {HEX}; allowed: <escapes>",
        ),
    ];
    for (step, expected) in cases {
        check(&step_message(step), expected);
    }
}

#[test]
fn heads() {
    let cases = [
        (
            "\"GET /\"",
            "x.toml:5: client[0].steps[1].head: a string is not allowed here; allowed: a table of <head>",
        ),
        (
            "{ methd = \"GET\" }",
            "x.toml:5: client[0].steps[1].head: unknown field \"methd\"; allowed: <head>; did you mean \"method\"?",
        ),
        (
            "{ method = 1 }",
            "x.toml:5: client[0].steps[1].head.method: an integer is not allowed here; allowed: a string",
        ),
        (
            "{ version = \"2\" }",
            "x.toml:5: client[0].steps[1].head.version: unknown version \"2\"; allowed: \"1.0\" or \"1.1\" (others with bytes)",
        ),
        (
            "{ version = 1.1 }",
            "x.toml:5: client[0].steps[1].head.version: a float is not allowed here; allowed: \"1.0\" or \"1.1\" (others with bytes)",
        ),
        (
            "{ host = true }",
            "x.toml:5: client[0].steps[1].head.host: true is not valid: there is no such host; allowed: a string, or false to leave it out",
        ),
        (
            "{ host = 1 }",
            "x.toml:5: client[0].steps[1].head.host: an integer is not allowed here; allowed: a string, or false to leave it out",
        ),
        (
            "{ length = -1 }",
            "x.toml:5: client[0].steps[1].head.length: -1 is out of bounds; allowed: an integer from 0 to 18446744073709551615",
        ),
        (
            "{ chunked = 1 }",
            "x.toml:5: client[0].steps[1].head.chunked: an integer is not allowed here; allowed: true or false",
        ),
        (
            "{ expect = true }",
            "x.toml:5: client[0].steps[1].head.expect: a boolean is not allowed here; allowed: a string",
        ),
        (
            "{ headers = [\"a\"] }",
            "x.toml:5: client[0].steps[1].head.headers[0]: a string is not allowed here; allowed: an array of pairs such as [[\"name\", \"value\"]]",
        ),
        (
            "{ headers = [[\"a\"]] }",
            "x.toml:5: client[0].steps[1].head.headers[0]: [\"a\"] is not valid: not a pair; allowed: an array of pairs such as [[\"name\", \"value\"]]",
        ),
        (
            "{ headers = [[\"a\", 1]] }",
            "x.toml:5: client[0].steps[1].head.headers[0][1]: an integer is not allowed here; allowed: a string",
        ),
        (
            "{ headers = { a = \"b\" } }",
            "x.toml:5: client[0].steps[1].head.headers: a table is not allowed here; allowed: an array of pairs such as [[\"name\", \"value\"]]",
        ),
    ];
    for (head, expected) in cases {
        let step = format!("{{ do = \"send\", head = {head} }}");
        check(&step_message(&step), expected);
    }
}
