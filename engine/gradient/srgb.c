/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Linear planes -> 8-bit sRGB values and the codes made of them, without floating point: the step
 * positions of the curve are a table. It exists for comparison with the log gradient.
 */
#include "engine/gradient/srgb.h"

#include "engine/gradient/gradient.h"

/* curve[k - 1] = ceil(2^32 * inverse_sRGB((k - 1/2) / 255)), k = 1..255 (IEC 61966-2-1): the linear
 * value, white being 2^32, from which the nearest 8-bit value is at least k. */
static const uint32_t curve[255] = {
    651820u,     1955458u,    3259097u,    4562735u,    5866374u,    7170012u,    8473651u,
    9777289u,    11080927u,   12384566u,   13693649u,   15072155u,   16528387u,   18063551u,
    19678822u,   21375354u,   23154273u,   25016685u,   26963674u,   28996302u,   31115614u,
    33322635u,   35618372u,   38003817u,   40479942u,   43047709u,   45708060u,   48461926u,
    51310223u,   54253855u,   57293711u,   60430671u,   63665601u,   66999356u,   70432781u,
    73966708u,   77601962u,   81339356u,   85179694u,   89123770u,   93172371u,   97326272u,
    101586243u,  105953043u,  110427424u,  115010131u,  119701900u,  124503460u,  129415534u,
    134438836u,  139574075u,  144821952u,  150183163u,  155658395u,  161248333u,  166953651u,
    172775021u,  178713107u,  184768569u,  190942061u,  197234230u,  203645720u,  210177169u,
    216829209u,  223602469u,  230497571u,  237515134u,  244655771u,  251920091u,  259308700u,
    266822197u,  274461179u,  282226237u,  290117958u,  298136927u,  306283723u,  314558921u,
    322963093u,  331496808u,  340160629u,  348955118u,  357880831u,  366938322u,  376128141u,
    385450834u,  394906946u,  404497016u,  414221580u,  424081173u,  434076325u,  444207563u,
    454475412u,  464880392u,  475423022u,  486103818u,  496923292u,  507881954u,  518980311u,
    530218867u,  541598123u,  553118579u,  564780730u,  576585071u,  588532092u,  600622281u,
    612856125u,  625234108u,  637756710u,  650424411u,  663237686u,  676197010u,  689302855u,
    702555690u,  715955983u,  729504198u,  743200799u,  757046245u,  771040997u,  785185510u,
    799480238u,  813925635u,  828522150u,  843270232u,  858170327u,  873222880u,  888428333u,
    903787126u,  919299699u,  934966488u,  950787927u,  966764451u,  982896491u,  999184475u,
    1015628832u, 1032229988u, 1048988367u, 1065904391u, 1082978482u, 1100211059u, 1117602539u,
    1135153338u, 1152863871u, 1170734550u, 1188765786u, 1206957989u, 1225311567u, 1243826925u,
    1262504470u, 1281344605u, 1300347730u, 1319514248u, 1338844556u, 1358339052u, 1377998133u,
    1397822192u, 1417811624u, 1437966819u, 1458288169u, 1478776062u, 1499430887u, 1520253029u,
    1541242873u, 1562400803u, 1583727203u, 1605222452u, 1626886930u, 1648721017u, 1670725088u,
    1692899522u, 1715244691u, 1737760970u, 1760448731u, 1783308346u, 1806340183u, 1829544612u,
    1852922001u, 1876472715u, 1900197120u, 1924095581u, 1948168459u, 1972416118u, 1996838917u,
    2021437216u, 2046211374u, 2071161747u, 2096288694u, 2121592567u, 2147073723u, 2172732513u,
    2198569290u, 2224584405u, 2250778208u, 2277151048u, 2303703273u, 2330435229u, 2357347263u,
    2384439720u, 2411712943u, 2439167276u, 2466803060u, 2494620637u, 2522620346u, 2550802527u,
    2579167519u, 2607715657u, 2636447279u, 2665362720u, 2694462314u, 2723746395u, 2753215296u,
    2782869348u, 2812708883u, 2842734230u, 2872945718u, 2903343676u, 2933928431u, 2964700310u,
    2995659638u, 3026806741u, 3058141941u, 3089665563u, 3121377928u, 3153279359u, 3185370175u,
    3217650697u, 3250121244u, 3282782134u, 3315633684u, 3348676211u, 3381910032u, 3415335461u,
    3448952812u, 3482762399u, 3516764536u, 3550959533u, 3585347702u, 3619929355u, 3654704799u,
    3689674346u, 3724838302u, 3760196976u, 3795750674u, 3831499703u, 3867444367u, 3903584973u,
    3939921822u, 3976455220u, 4013185468u, 4050112869u, 4087237723u, 4124560331u, 4162080993u,
    4199800007u, 4237717674u, 4275834290u,
};

/* steps[k - 1]: the least sample whose value is at least k. */
static void steps_for(uint16_t nominal_white, uint32_t steps[255])
{
    for (size_t k = 0; k < 255; k++) {
        steps[k] = (uint32_t)(((uint64_t)curve[k] * nominal_white + UINT32_MAX) >> 32);
    }
}

/* How many steps are at or below the sample: a search without branches over 2^8 - 1 entries. */
static uint32_t value_of(const uint32_t steps[255], uint16_t sample)
{
    uint32_t value = 0;

    for (uint32_t half = 128; half > 0; half >>= 1) {
        value += steps[value + half - 1] <= sample ? half : 0;
    }
    return value;
}

/* THERMOMETER in gradient.h, for 8-bit sRGB: |x| M / 2 = |2v - 255| M / 510. */
static uint8_t thermometer(const struct gradient_spec *spec, uint32_t v)
{
    const uint32_t m = spec->levels + (spec->even ? 1u : 0u);
    const uint32_t size = v > 127 ? 2 * v - 255 : 255 - 2 * v;
    const uint32_t planes = 2 * ((size * m + 509) / 510) - 1; /* |q| */

    return (uint8_t)(v > 127 ? (spec->levels + planes) / 2 : (spec->levels - planes) / 2);
}

/* The code of each 8-bit value. */
static void table_for(const struct gradient_spec *spec, uint8_t table[256])
{
    for (uint32_t v = 0; v < 256; v++) {
        table[v] = spec->coding == GRADIENT_CODING_THERMOMETER ? thermometer(spec, v)
                   : v == 255                                  ? 127
                                                               : (uint8_t)((v + 1) >> 1);
    }
}

void gradient_srgb_encode(const struct gradient_spec *spec, const uint16_t *planes, size_t pixels,
                          uint16_t nominal_white, void *codes)
{
    const size_t channels = spec->planes;
    uint32_t steps[255];
    uint8_t table[256];

    steps_for(nominal_white, steps);
    table_for(spec, table);
    for (size_t c = 0; c < channels; c++) {
        for (size_t i = 0; i < pixels; i++) {
            uint32_t v = value_of(steps, planes[c * pixels + i]);

            if (spec->coding == GRADIENT_CODING_F32) {
                ((float *)codes)[i * channels + c] = (float)v / 127.5f - 1.0f;
            } else {
                ((uint8_t *)codes)[i * channels + c] = table[v];
            }
        }
    }
}
