// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 The Ocellus Authors
//
// What a user would put together without Ocellus: an HTTP server on a Unix socket that decodes a posted JPEG with sharp,
// scales it to 32x32 and classifies it with ONNX Runtime, one thread each. Usage: node server.js SOCKET
'use strict';
const http = require('http');
const ort = require('onnxruntime-node');
const sharp = require('sharp');
const { graph } = require('./graphs.js');

const SIDE = 32;

const bytesOf = async (request) => {
    const parts = [];
    for await (const part of request) {
        parts.push(part);
    }
    return Buffer.concat(parts);
};

// Pixels [y][x][colour] -> codes [colour][y][x] of 7 bits.
const planes = (pixels) => {
    const codes = new Uint8Array(pixels.length);
    const size = pixels.length / 3;
    for (let i = 0; i < size; i++) {
        for (let c = 0; c < 3; c++) {
            codes[c * size + i] = pixels[3 * i + c] >> 1;
        }
    }
    return codes;
};

(async () => {
    const { output, dims, model } = graph('small-32-64-64');
    const session = await ort.InferenceSession.create(model,
        { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all' });
    sharp.concurrency(1);
    sharp.cache(false);

    http.createServer(async (request, response) => {
        try {
            const pixels = await sharp(await bytesOf(request)).resize(SIDE, SIDE, { fit: 'cover' }).removeAlpha().raw()
                .toBuffer();
            const result = await session.run({ x: new ort.Tensor('uint8', planes(pixels), dims) });
            const scores = [...result[output].data];
            const body = JSON.stringify({ label: scores.indexOf(Math.max(...scores)), scores });
            response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
            response.end(body);
        } catch (error) {
            const body = JSON.stringify({ error: error.message });
            response.writeHead(400, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
            response.end(body);
        }
    }).listen(process.argv[2], () => console.log('ready'));
})();
