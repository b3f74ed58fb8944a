#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Write the reference values that tests/unit/train/test_train_vectors.c compares with, computed by PyTorch.

Usage: make_vectors.py FOLDER. Made once with PyTorch 1.13 (Debian 12); the results are committed. Each case is a
network on random images: scores, loss and all gradients of the first step, all parameters after three steps, and scores
without batch statistics after them. Arrays are stored as engine/train lays them out.
"""
import json
import math
import pathlib
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

STEPS = 3


class Steps(torch.autograd.Function):
    """u7: gradients pass inside (0, clip), those beyond go to the clip."""

    @staticmethod
    def forward(ctx, x, clip):
        ctx.save_for_backward(x, clip)
        step = clip / 127
        return torch.clamp(torch.floor(x / step + 0.5), 0, 127) * step

    @staticmethod
    def backward(ctx, g):
        x, clip = ctx.saved_tensors
        return g * ((x > 0) & (x < clip)), (g * (x >= clip)).sum().reshape(1)


class CodeGradient(torch.autograd.Function):
    """The identity forward; a 5-bit log code of the gradient backward, once a range is known."""

    @staticmethod
    def forward(ctx, x, state, bits):
        ctx.state, ctx.bits = state, bits
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        ctx.state['seen'] = g.abs().max().item()
        if ctx.state['range'] > 0:
            g = power(g, ctx.bits, False, tracked_fsr(ctx.state['range']))
        return g, None, None


def through(x, coded):
    """The coded value forward, the identity backward."""
    return x + (coded - x).detach()


def tracked_fsr(peak):
    return math.ceil(math.log2(peak)) + 1


def power(x, bits, root, fsr):
    grid = 2 if root else 1
    high = grid * fsr - 1
    low = high - 2 ** bits + 2
    e = torch.round(grid * torch.log2(x.abs().double()))
    value = torch.pow(2.0, torch.floor(torch.clamp(e, max=high) / grid))
    if root:
        value = torch.where(torch.clamp(e, max=high) % 2 != 0, value * 181 / 128, value)
    return torch.where(e < low, torch.zeros_like(value), value).float() * torch.sign(x)


def code_weights(w, coding):
    """w [..., out] -> codes, and scales [out]. Scales are applied to the sums, as sums of integers tie exactly."""
    kind, dims = coding['kind'], tuple(range(w.dim() - 1))
    if kind == 's8':
        s = w.abs().amax(dims) / 127
        return through(w / s.detach(), torch.round(w / s)), s.detach()
    if kind == 'ternary':
        beyond = w.abs() > 0.7 * w.abs().mean(dims)
        s = (w.abs() * beyond).sum(dims) / beyond.sum(dims)
        return through(w / s.detach(), torch.sign(w) * beyond), s.detach()
    if kind == 'binary':
        return through(w, torch.where(w >= 0, 1.0, -1.0)), 1.0
    if kind == 'log':
        fsr = coding.get('fsr')
        return through(w, power(w, coding['bits'], coding.get('root', False),
                                tracked_fsr(w.abs().max().item()) if fsr is None else fsr)), 1.0
    return w, 1.0


def code_output(layer, x):
    coding = layer.get('output', {'kind': 'f32'})
    kind = coding['kind']
    if kind == 'u7' and layer['op'] == 'avg':
        step = layer['source']['step']
        # Means of codes half way between two are frequent, and go up: not to be left to rounding here.
        return through(x, torch.floor(x / step + 0.5001) * step)
    if kind == 'u7':
        clip = layer['clip'] if 'clip' in layer else layer['range']
        layer['step'] = clip.item() / 127
        return Steps.apply(x, clip)
    if kind in ('ternary', 'binary'):
        inside = F.hardtanh(x)
        coded = torch.where(x >= 0, 1.0, -1.0) if kind == 'binary' else (x > 0.5).float() - (x < -0.5).float()
        return through(inside, coded)
    if kind == 'log':
        fsr = coding.get('fsr')
        return through(x, power(x, coding['bits'], coding.get('root', False),
                                tracked_fsr(layer['range'].item()) if fsr is None else fsr))
    return x


def operate(layer, x, other):
    op = layer['op']
    if 'weight' in layer:
        w, scale = code_weights(layer['weight'], layer.get('weights', {'kind': 'f32'}))
        scale = scale[:, None, None] if torch.is_tensor(scale) else scale
    if op == 'conv':
        return F.conv2d(x, w.permute(3, 2, 0, 1), stride=layer['stride'], padding=layer['pad']) * scale
    if op == 'depthwise':
        return F.conv2d(x, w.permute(2, 0, 1).unsqueeze(1), stride=layer['stride'], padding=layer['pad'],
                        groups=x.shape[1]) * scale
    if op == 'dense':
        return (x.permute(0, 2, 3, 1).flatten(1) @ w)[:, :, None, None] * scale
    if op == 'avg':
        return F.avg_pool2d(x, layer['kernel'], layer['stride'])
    if op == 'global':
        return x.mean((2, 3), keepdim=True)
    return x + other if op == 'add' else x


def forward(case, learn):
    outs = [case['images']]
    for i, layer in enumerate(case['layers']):
        x = operate(layer, outs[i - layer.get('input', 0)], outs[i - layer.get('other', 0)])
        if case['gradient_bits']:
            x = CodeGradient.apply(x, layer['gradient_state'], case['gradient_bits'])
        if 'bias' in layer:
            x = x + layer['bias'][:, None, None]
        if 'gamma' in layer:
            x = F.batch_norm(x, layer['mean'], layer['variance'], layer['gamma'], layer['beta'], learn, 0.1, 1e-5)
        activation = layer.get('activation')
        if activation == 'relu':
            x = F.relu(x)
        elif activation == 'hard_tanh' and 'output' not in layer:
            x = F.hardtanh(x)
        if 'pool' in layer:
            x = F.max_pool2d(x, layer['pool'], layer['pool_stride'])
        layer['peak'] = x.max().item()
        outs.append(code_output(layer, x))
    return outs[-1].flatten(1)


def loss_of(case, scores):
    if case['loss'] == 'softmax':
        return F.cross_entropy(scores, case['labels'])
    target = 2 * F.one_hot(case['labels'], scores.shape[1]).float() - 1
    return (torch.clamp(1 - target * scores, min=0) ** 2).mean()


TRAINED = ('weight', 'bias', 'gamma', 'beta', 'clip')
STATE = ('mean', 'variance', 'range')


def follow(value, seen):
    return value + 0.05 * (seen - value) if value > 0 else seen


def settle(case):
    """Tracked ranges follow what the last pass has shown."""
    for layer in case['layers']:
        if 'range' in layer:
            layer['range'] = torch.tensor([follow(layer['range'].item(), layer['peak'])])
        if case['gradient_bits']:
            state = layer['gradient_state']
            state['range'] = follow(state['range'], state['seen'])


def draw(generator, *shape, scale=1.0):
    return torch.randn(*shape, generator=generator) * scale


def prepare(case):
    """Draw images, labels and parameters; find shapes on the way."""
    g = torch.Generator().manual_seed(case['seed'])
    height, width, channels = case['input']
    if case.get('ternary_input'):
        case['images'] = torch.randint(-1, 2, (case['batch'], channels, height, width), generator=g).float()
    else:
        case['images'] = draw(g, case['batch'], channels, height, width)
    case['labels'] = torch.randint(0, case['classes'], (case['batch'],), generator=g)
    shapes = [(channels, height, width)]
    for i, layer in enumerate(case['layers']):
        n, h, w = shapes[i - layer.get('input', 0)]
        if layer['op'] in ('conv', 'depthwise'):
            kh, kw = layer['kernel']
            shape = (kh, kw, n, layer['out']) if layer['op'] == 'conv' else (kh, kw, n)
            layer['weight'] = draw(g, *shape, scale=layer.get('gain', 0.4))
            h = (h + 2 * layer['pad'][0] - kh) // layer['stride'][0] + 1
            w = (w + 2 * layer['pad'][1] - kw) // layer['stride'][1] + 1
            n = layer.get('out', n)
        elif layer['op'] == 'dense':
            layer['weight'] = draw(g, n * h * w, layer['out'], scale=layer.get('gain', 0.4))
            n, h, w = layer['out'], 1, 1
        elif layer['op'] == 'avg':
            h = (h - layer['kernel'][0]) // layer['stride'][0] + 1
            w = (w - layer['kernel'][1]) // layer['stride'][1] + 1
        elif layer['op'] == 'global':
            h = w = 1
        if layer.get('with_bias'):
            layer['bias'] = draw(g, n, scale=0.3)
        if layer.get('norm'):
            layer['gamma'] = 1 + draw(g, n, scale=0.5)
            layer['gamma'][0] = -0.7
            layer['beta'] = draw(g, n, scale=0.3)
            layer['mean'], layer['variance'] = draw(g, n, scale=0.1), torch.ones(n)
        if 'pool' in layer:
            h = (h - layer['pool'][0]) // layer['pool_stride'][0] + 1
            w = (w - layer['pool'][1]) // layer['pool_stride'][1] + 1
        for key in ('clip', 'range'):
            if key in layer:
                layer[key] = torch.tensor([float(layer[key])])
        if case['gradient_bits']:
            layer['gradient_state'] = {'range': 0.0, 'seen': 0.0}
        shapes.append((n, h, w))
        for key in TRAINED:
            if key in layer:
                layer[key].requires_grad_(True)


def parameters(case):
    for i, layer in enumerate(case['layers']):
        for key in TRAINED:
            if key in layer:
                yield i, key, layer[key]


def run(case):
    prepare(case)
    out = {'images': case['images'].permute(0, 2, 3, 1).contiguous(), 'labels': case['labels'].int()}
    for i, layer in enumerate(case['layers']):
        for key in TRAINED + STATE:
            if key in layer:
                out[f'first.{i}.{key}'] = layer[key].detach().clone()
    decayed = [p for _, key, p in parameters(case) if key in ('weight', 'clip')]
    others = [p for _, key, p in parameters(case) if key not in ('weight', 'clip')]
    groups = [{'params': decayed, 'weight_decay': 0.01}, {'params': others}]
    if case['rule'] == 'sgd':
        optimiser = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    else:
        optimiser = torch.optim.Adam(groups, lr=0.01, betas=(0.9, 0.99), eps=1e-3)
    for step in range(STEPS):
        optimiser.zero_grad()
        scores = forward(case, True)
        loss = loss_of(case, scores)
        loss.backward()
        settle(case)
        if step == 0:
            out['scores'], out['loss'] = scores.detach().clone(), loss.detach().reshape(1).clone()
            for i, key, p in parameters(case):
                out[f'gradient.{i}.{key}'] = p.grad.clone()
        optimiser.step()
        with torch.no_grad():
            for layer in case['layers']:
                if layer.get('weights', {}).get('kind') == 'binary':
                    layer['weight'].clamp_(-1, 1)
    for i, layer in enumerate(case['layers']):
        for key in TRAINED + STATE:
            if key in layer:
                out[f'last.{i}.{key}'] = layer[key].detach().clone()
    with torch.no_grad():
        out['served'] = forward(case, False)
    return out


def write(path, tensors):
    header, blobs, at = {}, [], 0
    for name, tensor in tensors.items():
        array = np.ascontiguousarray(tensor.numpy())
        kind = {'float32': 'F32', 'int32': 'I32'}[str(array.dtype)]
        header[name] = {'dtype': kind, 'shape': list(array.shape), 'data_offsets': [at, at + array.nbytes]}
        blobs.append(array.tobytes())
        at += array.nbytes
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(struct.pack('<Q', len(text)) + text + b''.join(blobs))


def conv(out, kernel=(3, 3), stride=(1, 1), pad=(1, 1), **more):
    return dict(op='conv', out=out, kernel=kernel, stride=stride, pad=pad, **more)


def depthwise(kernel=(3, 3), stride=(1, 1), pad=(1, 1), **more):
    return dict(op='depthwise', kernel=kernel, stride=stride, pad=pad, **more)


def dense(out, **more):
    return dict(op='dense', out=out, **more)


POOL2 = dict(pool=(2, 2), pool_stride=(2, 2))
NORM_RELU = dict(norm=True, activation='relu')


def cases():
    yield 'plain', dict(
        seed=1, batch=5, input=(9, 8, 3), classes=4, loss='softmax', rule='sgd', layers=[
            conv(5, with_bias=True, activation='relu'),
            conv(6, kernel=(3, 2), stride=(2, 1), pad=(1, 0), with_bias=True, activation='relu', pool=(3, 3),
                 pool_stride=(2, 2)),
            dense(7, with_bias=True, activation='hard_tanh'),
            dense(4, with_bias=True)])
    yield 'norm', dict(
        seed=2, batch=18, input=(9, 8, 3), classes=3, loss='hinge', rule='adam', layers=[
            conv(8, **NORM_RELU, **POOL2),
            conv(35, pad=(0, 0), norm=True, activation='hard_tanh'),
            dense(3, norm=True)])
    yield 'residual', dict(
        seed=3, batch=5, input=(8, 8, 4), classes=3, loss='softmax', rule='sgd', layers=[
            conv(6, **NORM_RELU),
            depthwise(**NORM_RELU),
            conv(6, kernel=(1, 1), pad=(0, 0), norm=True),
            dict(op='add', other=2, activation='relu'),
            depthwise(stride=(2, 2), **NORM_RELU),
            conv(40, stride=(2, 1), with_bias=True, activation='relu'),
            dict(op='avg', kernel=(2, 2), stride=(1, 2)),
            dict(op='identity', pool=(1, 2), pool_stride=(1, 1)),
            dict(op='global'),
            dense(3, with_bias=True)])
    s8 = dict(kind='s8')
    coded = dict(seed=4, batch=6, input=(8, 8, 4), classes=3, loss='softmax', rule='sgd', ternary_input=True, layers=[
        conv(6, weights=s8, output=dict(kind='u7', learned=True), clip=1.5, **NORM_RELU, **POOL2),
        depthwise(weights=s8, output=dict(kind='u7'), range=2.0, **NORM_RELU),
        dict(op='avg', kernel=(2, 2), stride=(2, 2), output=dict(kind='u7')),
        dense(3, weights=s8, with_bias=True)])
    coded['layers'][2]['source'] = coded['layers'][1]
    yield 's8', coded
    yield 'low', dict(
        seed=5, batch=6, input=(6, 6, 4), classes=3, loss='hinge', rule='adam', ternary_input=True, layers=[
            conv(8, weights=dict(kind='binary'), output=dict(kind='binary'), norm=True, activation='hard_tanh',
                 pool=(1, 3), pool_stride=(1, 3)),
            conv(9, weights=dict(kind='ternary'), output=dict(kind='ternary'), norm=True, activation='hard_tanh',
                 **POOL2),
            conv(7, weights=dict(kind='log', bits=3), output=dict(kind='log', bits=3, fsr=1), **NORM_RELU),
            conv(7, weights=dict(kind='log', bits=4, root=True, fsr=0), range=1.5,
                 output=dict(kind='log', bits=4, root=True), **NORM_RELU),
            dense(3, weights=dict(kind='ternary'), norm=True)])
    yield 'gradient', dict(
        seed=6, batch=5, input=(6, 6, 3), classes=3, loss='softmax', rule='sgd', gradient_bits=5, layers=[
            conv(5, **NORM_RELU, **POOL2),
            conv(6, with_bias=True, activation='relu'),
            dense(3, with_bias=True)])


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.manual_seed(0)
    for name, case in cases():
        case.setdefault('gradient_bits', 0)
        write(folder / f'{name}.safetensors', run(case))


if __name__ == '__main__':
    main()
