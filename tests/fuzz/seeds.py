"""What the fuzzers start from: texts that parsers know, and pieces to spoil them with."""

from __future__ import annotations

WORDS = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b" ", b"\0", b"\xff", b"\xef\xbb\xbf"),
    *(b"data:", b"data: ", b"id", b"retry: 1", b"event: error", b"event: x", b": c", b"[DONE]"),
    *(b"{", b"}", b"[", b"]", b":", b",", b'"', b"null", b"true", b"-1", b"1e999", b"NaN"),
    *(b'{"a":1}', b"[" * 20_000, b'{"a":' * 20_000, b"1" * 5_000, b'"\\ud800"', b'"x"'),
    *(b"0\r\n", b"5\r\n", b"A;a=b\r\n", b"-5\r\n", b"0x5\r\n", b"0\r\nexpires: never\r\n\r\n"),
    *(b"--b", b"--", b"multipart/form-data; boundary=b\n", b"Content-Disposition: form-data"),
    *(b'; name="file"', b'; filename="f"', b"; filename*=UTF-8''%FF", b"=", b";"),
    *(b'"error"', b'"message"', b'"type"', b'"delta"', b'"output_index"', b'"custom_id"'),
]
SEEDS = [
    b'{"api_keys":["k-1"," k-2 "],"api_key":"k-3"}',
    b'{"__type":"aws#Throttled","message":"Slow down.","detail":["x"],"error":{"message":"No."}}',
    b'{"model":"m","messages":[{"role":"user","content":"x"}],"n":1.5,"a":[true,null,"\\u00e9"]}',
    b'\xef\xbb\xbf{"custom_id":"a","method":"POST","url":"/v1/responses",'
    b'"body":{"model":"m","input":"x"}}\r\n\n{"custom_id":"a"}\n',
    b"F\r\n0123456789abcde\r\n2;a=b\r\nxy\r\n0\r\nexpires: never\r\n\r\n",
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n: c\n\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\n\n'
    b"data: [DONE]\n\n",
    b'event: response.created\r\ndata: {"type":"response.created","response":{"id":"r"}}\r\n\r\n'
    b'data: {"type":"response.output_text.delta","delta":"x","output_index":0}\r\n\r\n'
    b'data: {"type":"response.completed","response":{"output":[]}}\r\n\r\n',
    b'multipart/form-data; boundary=b\n--b\r\nContent-Disposition: form-data; name="purpose"\r\n'
    b'\r\nbatch\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    b"x\r\n--b--\r\n",
]
