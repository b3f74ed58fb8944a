// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 The Ocellus Authors
//
// Writes the bench topologies as quantised ONNX graphs (QLinearConv: u8 activations, s8 weights per channel), byte by
// byte, with random weights. Runs nothing.
'use strict';

// ---- the little of protobuf and onnx.proto that a graph needs
const varint = (value) => {
    const bytes = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    do {
        const low = Number(rest & 127n);
        rest >>= 7n;
        bytes.push(rest ? low | 128 : low);
    } while (rest);
    return Buffer.from(bytes);
};
const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
const bytes = (field, value) => {
    const data = Buffer.isBuffer(value) ? value : Buffer.from(value);
    return Buffer.concat([varint((field << 3) | 2), varint(data.length), data]);
};
const FLOAT = 1, UINT8 = 2, INT8 = 3, INT32 = 6;

const tensor = (name, type, dims, data) => bytes(5, Buffer.concat([
    ...dims.map((dim) => number(1, dim)), number(2, type), bytes(8, name),
    bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength))]));
const ints = (name, values) => bytes(5, Buffer.concat([
    bytes(1, name), ...values.map((value) => number(8, value)), number(20, 7)]));
const integer = (name, value) => bytes(5, Buffer.concat([bytes(1, name), number(3, value), number(20, 2)]));
const node = (type, inputs, output, attributes, domain) => bytes(1, Buffer.concat([
    ...inputs.map((name) => bytes(1, name)), bytes(2, output), bytes(4, type),
    ...(domain ? [bytes(7, domain)] : []), ...attributes]));
const value = (field, name, type, dims) => bytes(field, Buffer.concat([
    bytes(1, name), bytes(2, bytes(1, Buffer.concat([
        number(1, type), bytes(2, Buffer.concat(dims.map((dim) => bytes(1, number(1, dim)))))])))]));

// ---- topologies: ['conv', kernel, pad, channels], ['pool'], ['gap']; the same as in onednn.c
const nets = {
    'small-32-64-64': [3, ['conv', 3, 1, 32], ['pool'], ['conv', 3, 1, 64], ['pool'], ['conv', 3, 1, 64], ['gap'],
        ['conv', 1, 0, 10]],
    'lg3-32-64-128': [6, ['conv', 3, 1, 32], ['pool'], ['conv', 3, 1, 64], ['pool'], ['conv', 3, 1, 128], ['pool'],
        ['conv', 4, 0, 10]],
    'net-b': [3, ['conv', 2, 0, 256], ['conv', 2, 0, 256], ['pool'], ['conv', 2, 0, 256], ['conv', 2, 0, 256], ['pool'],
        ['conv', 2, 0, 256], ['conv', 2, 0, 256], ['conv', 2, 0, 256], ['conv', 2, 0, 256], ['pool'], ['conv', 1, 0, 10]],
    'bineareye-256': [3, ['conv', 2, 0, 256], ['conv', 2, 0, 256], ['conv', 2, 0, 256], ['conv', 2, 0, 256], ['pool'],
        ['conv', 2, 0, 256], ['conv', 2, 0, 256], ['pool'], ['conv', 2, 0, 256], ['conv', 2, 0, 256], ['conv', 4, 0, 10]],
};

function graph(net) {
    let channels = net[0], size = 32, from = 'x';
    const parts = [
        tensor('scale', FLOAT, [], new Float32Array([0.02])), tensor('zero', UINT8, [], new Uint8Array([0]))];

    net.slice(1).forEach(([op, kernel, pad, out], i) => {
        const to = `y${i}`;
        if (op === 'conv') {
            const weights = new Int8Array(out * channels * kernel * kernel).map(() => Math.floor(Math.random() * 255) - 127);
            parts.push(
                tensor(`w${i}`, INT8, [out, channels, kernel, kernel], weights),
                tensor(`s${i}`, FLOAT, [out], new Float32Array(out).fill(0.002)),
                tensor(`z${i}`, INT8, [out], new Int8Array(out)),
                tensor(`b${i}`, INT32, [out], new Int32Array(out)),
                node('QLinearConv', [from, 'scale', 'zero', `w${i}`, `s${i}`, `z${i}`, 'scale', 'zero', `b${i}`], to,
                    [ints('kernel_shape', [kernel, kernel]), ints('pads', [pad, pad, pad, pad])]));
            size += 2 * pad - kernel + 1;
            channels = out;
        } else if (op === 'pool') {
            parts.push(node('MaxPool', [from], to, [ints('kernel_shape', [2, 2]), ints('strides', [2, 2])]));
            size = Math.floor(size / 2);
        } else {
            parts.push(node('QLinearGlobalAveragePool', [from, 'scale', 'zero', 'scale', 'zero'], to,
                [integer('channels_last', 0)], 'com.microsoft'));
            size = 1;
        }
        from = to;
    });
    parts.push(bytes(2, 'bench'), value(11, 'x', UINT8, [1, net[0], 32, 32]), value(12, from, UINT8, [1, channels, size, size]));
    return { output: from, dims: [1, net[0], 32, 32], model: model(parts) };
}

const model = (parts) => Buffer.concat([number(1, 8), bytes(8, Buffer.concat([bytes(1, ''), number(2, 13)])),
    bytes(8, Buffer.concat([bytes(1, 'com.microsoft'), number(2, 1)])), bytes(7, Buffer.concat(parts))]);

const identity = () => ({ output: 'y', dims: [1, 10], model: model([
    node('Identity', ['x'], 'y', []), bytes(2, 'bench'), value(11, 'x', UINT8, [1, 10]), value(12, 'y', UINT8, [1, 10])]) });

module.exports = { nets: Object.keys(nets), graph: (name) => graph(nets[name]), identity };
