"""Words of the generated shop: what each category sells, and how its products are talked about.

All of it is written for Shelfcheck. One line a product type:
`nouns | parts | qualities | uses | faults`, each a list of phrases that fit the sentences of
`templates.py`: "this {noun}", "the {part} is {quality}", "for {use}", "after two weeks {fault}".
Qualities that nobody wants are told apart as flaws.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class ProductType(NamedTuple):
    """Phrases of one type of product."""

    nouns: tuple[str, ...]
    parts: tuple[str, ...]
    qualities: tuple[str, ...]
    flaws: tuple[str, ...]
    uses: tuple[str, ...]
    faults: tuple[str, ...]


class Category(NamedTuple):
    """One category of the shop."""

    name: str
    weight: float  # relative number of products
    season: str  # busy time: "gifts", "spring", "summer", "school", "" for even
    types: tuple[ProductType, ...]
    like: str = ""  # a category that is easily confused with this one


_SHELF: Final = """
# Books 1.6 gifts
novel, thriller, mystery | plot, ending, main character, dialogue, first chapter, story, narrator, pacing | gripping, well written, predictable, believable, beautifully told | reading on the beach, my book club, a long flight, readers of the genre | I lost interest in the story, the plot fell apart, the characters stopped making sense
cookbook, baking book | recipe section, index, photography, ingredient list, binding, chapter on bread | easy to follow, inspiring, nicely illustrated, full of ideas | trying new recipes, beginners in the kitchen, Sunday dinners | the binding came apart, I found errors in the recipes, pages fell out
biography, memoir, history book | author, research, writing, last part, chronology, bibliography, foreword | well researched, honest, moving, dry, thorough | history lovers, understanding the period, anyone who likes true stories | I gave up halfway through, the author repeated himself, the print was too small to read
textbook, study guide, workbook | explanation, chapter summary, exercise section, glossary, diagram, practice test | clear, up to date, dense, well organised | passing the exam, my college class, learning the basics | I found wrong answers in the key, the cover tore, we saw it was an old edition

# Digital_Ebook_Purchase 1.2 gifts like=Books
novel, e-book, short read | plot, ending, main character, story, series, heroine, romance, next book | gripping, steamy, predictable, sweet, hard to put down | reading on my Kindle, a quick read, fans of the series | the story ended in a cliffhanger, I noticed typos on every page, the plot fell apart
e-book, thriller, whodunit | storyline, hero, twist, author, sample chapter, dialogue, formatting | fast paced, well written, free, suspenseful | a rainy day, reading on my tablet, my commute | I lost interest in the story, the file would not open, the formatting was a mess
fantasy book, science fiction story | world, magic system, sequel, author, character, battle scene, series | imaginative, original, well edited, slow | fantasy lovers, young adults, binge reading | the author killed my favourite character, the sequel still was not out, I skimmed the pages

# Video_DVD 1.0 gifts
movie, film, drama | acting, cast, script, director, soundtrack, picture quality, plot, ending | funny, moving, well acted, overrated, suspenseful | family movie night, fans of the original, a quiet evening | the disc skipped, the case arrived cracked, we fell asleep
TV series, box set, season | last season, episode, cast, bonus disc, packaging, storyline, special feature | addictive, hilarious, remastered, well written | watching again, collectors, a weekend marathon | one disc would not play, an episode was missing, the box fell apart
workout video, exercise DVD | instructor, routine, warm up, music, pace, cool down, menu | challenging, low impact, motivating, repetitive | losing weight, beginners, a morning workout | the disc froze, I got bored with the routine, the menu stopped working

# Digital_Video_Download 0.8 gifts like=Video_DVD
movie, film, comedy | acting, cast, script, plot, ending, streaming quality, director, special effects | funny, boring, well acted, predictable, creepy | family movie night, streaming on a Friday, a rental | the stream kept buffering, we turned it off, the sound went out of sync
show, series, season | pilot, episode, cast, writing, storyline, season finale, main actor | addictive, hilarious, smart, slow | binge watching, Prime members, adults only | the show was cancelled, the story went nowhere, the video would not load

# Music 0.9 gifts
album, CD, record | vocal, guitar solo, first track, lyrics sheet, melody, production, cover art, bass line | catchy, soulful, timeless, mellow, overproduced | driving, fans of the band, a party, relaxing in the evening | the disc was scratched, the case broke, I skipped most of the tracks
vinyl record, LP, pressing | pressing, sleeve, sound stage, side two, remaster, label, groove | warm, crackly, well pressed, rare | my turntable, collectors, listening with headphones | the record warped, I heard pops on every side, the sleeve split
Christmas album, compilation, soundtrack | choir, orchestra, carol, arrangement, singer, theme song, track list | festive, uplifting, soothing, cheerful | the holidays, decorating the tree, Sunday morning | the songs cut off early, we missed the original versions, the volume jumped around

# Electronics 1.6 gifts
pair of headphones, headset | sound, bass, ear cup, cable, microphone, noise cancelling, headband, volume control | comfortable, crisp, clear, tinny, loud | listening on the train, gaming, video calls | the left ear went silent, the cable frayed, the headband snapped
TV, flat screen, television | picture, remote, HDMI port, stand, speaker, colour, menu, backlight | sharp, bright, easy to set up, huge | the living room, watching sports, streaming movies | the screen went black, a line of pixels died, the remote stopped responding
speaker, sound bar, radio | sound, bass, battery, Bluetooth connection, antenna, volume knob, tuner, power button | loud, clear, portable, rich | the patio, the shower, parties, my desk | the battery would not hold a charge, it lost the Bluetooth connection, the speaker crackled
HDMI cable, adapter, splitter | connector, plug, cable, signal, length, shielding, gold plating | sturdy, well made, short, reliable | connecting my TV, a second monitor, the home theater | the signal dropped out, the plug came loose, the picture flickered

# Wireless 1.7 gifts like=Electronics
phone case, cover, bumper | corner, fit, button cutout, grip, kickstand, colour, back, edge | slim, protective, slippery, cute, bulky | my iPhone, my Galaxy, a clumsy teenager | the case cracked at the corner, the colour rubbed off, the kickstand broke
screen protector, tempered glass | glass, adhesive, edge, application kit, touch response, clarity | clear, easy to apply, scratch resistant, thin | my phone screen, protecting the display, drops | bubbles came up at the edge, the glass cracked in my pocket, it peeled off
charger, power bank, charging cable | cable, plug, battery, USB port, charging speed, indicator light, connector | fast, compact, reliable, flimsy | charging my phone, travelling, the car, the office | it stopped charging, the connector bent, the battery got hot
Bluetooth headset, earpiece | microphone, ear hook, battery, pairing, sound, volume, call quality, Bluetooth connection | light, clear, easy to pair, comfortable | hands free calls, driving, conference calls | callers could not hear me, it lost the Bluetooth connection, the ear hook snapped

# Kitchen 1.3 gifts
blender, mixer, food processor | motor, blade, jar, lid, speed dial, base, pitcher, pulse button | powerful, loud, easy to clean, quiet | making smoothies, kneading dough, crushing ice | the motor burned out, the lid cracked, it started to leak
coffee maker, espresso machine, kettle | carafe, water tank, filter basket, timer, heating plate, spout, brew | hot, fast, easy to fill, consistent | my morning coffee, a small kitchen, making tea for guests | it leaked all over the counter, the heating plate died, the carafe broke
frying pan, skillet, knife set, baking sheet | handle, coating, blade, bottom, lid, edge, non-stick surface, weight | non-stick, heavy, sharp, evenly heated, dishwasher safe | cooking eggs, searing steak, chopping vegetables | the coating flaked off, rust spots showed up, the handle came loose
set of containers, lunch box, storage jar | lid, seal, clip, size, plastic, compartment | airtight, leak proof, stackable, microwave safe | leftovers, packing lunch, storing flour | the clips broke off, the seal leaked, the plastic stained

# Home 1.3 school like=Kitchen
set of sheets, comforter, duvet cover | fabric, pocket, stitching, colour, elastic, thread count, size | soft, thin, wrinkle free, warm, cool | the guest bed, hot sleepers, winter nights | the seam ripped, the fabric pilled, the colour faded in the wash
pillow, mattress topper | foam, cover, loft, smell, zipper, support, filling | soft, firm, supportive, lumpy, comfortable | side sleepers, neck pain, a dorm bed | it went flat, the foam crumbled, the smell never left
vacuum cleaner, steam mop, air purifier | hose, filter, brush, cord, suction, dust bin, motor, wheel | powerful, light, loud, easy to empty | pet hair, hardwood floors, a small apartment, stairs | it lost suction, the brush stopped spinning, the motor burned out
curtain, rug, lamp, wall clock | colour, pattern, fabric, shade, hook, backing, size, base | pretty, thick, bright, well made | the living room, the bedroom, blocking the light, the hallway | the edges curled up, the colour faded, the hook broke off

# Beauty 1.3
face cream, moisturizer, serum | scent, texture, pump, ingredient list, jar, formula, sunscreen | light, greasy, gentle, absorbent, hydrating | dry skin, sensitive skin, fine lines, my face | my skin broke out, the pump stopped working, it left a rash
shampoo, conditioner, hair mask | scent, lather, formula, bottle, ingredient list, consistency | moisturising, rich, gentle, smooth | curly hair, coloured hair, frizz, a dry scalp | my hair felt like straw, my scalp itched, the bottle leaked
lipstick, mascara, nail polish, eye shadow palette | shade, brush, pigment, tube, finish, wand, applicator | long lasting, creamy, smudge proof, pretty, chalky | everyday makeup, a wedding, a night out | it smudged under my eyes, the colour chipped, it dried out in the tube
hair dryer, curling iron, flat iron | cord, barrel, heat setting, plate, handle, diffuser, switch | light, hot, fast, quiet | thick hair, blow drying, travel, styling | it sparked and died, the plate chipped, the cord overheated

# Health_Personal_Care 1.2 like=Beauty
vitamin supplement, bottle of capsules, protein powder | capsule, dose, taste, label, ingredient list, serving size, aftertaste | easy to swallow, effective, natural, chalky | joint pain, more energy, my immune system | I got stomach cramps, nothing changed in how I felt, the capsules stuck together
electric toothbrush, razor, trimmer | brush head, battery, blade, handle, charger, timer, foil | gentle, close, quiet, waterproof | sensitive gums, my beard, travel | the battery would not hold a charge, the blade went dull, it stopped turning on
heating pad, back brace, massager | strap, heat setting, velcro, support, cord, cover, intensity | warm, supportive, comfortable, strong | back pain, sore muscles, my knee after surgery | the velcro wore out, it stopped heating, the strap tore
lotion, soap bar, sunscreen | scent, pump, texture, ingredient list, bottle, formula | gentle, greasy, mild, fresh | dry skin, sensitive skin, the whole family | my skin itched, the bottle leaked, the scent turned sour

# Apparel 1.6 school
dress, blouse, skirt | fabric, length, sleeve, zipper, waist, neckline, colour, stitching | flattering, see through, soft, true to size, stretchy | a wedding, the office, a summer party | the seam ripped, the colour bled in the wash, the zipper stuck
T-shirt, hoodie, sweater | fabric, print, sleeve, collar, cotton, size, hem, fit | soft, warm, thin, true to size, comfortable | the gym, layering, lounging at home, cold mornings | it shrank two sizes, the print peeled, a hole appeared under the arm
pair of jeans, pair of leggings, pair of shorts | waistband, pocket, fit, length, fabric, button, inseam | stretchy, comfortable, tight, flattering | work, yoga class, everyday wear | the inner thigh wore through, the button popped off, they lost their shape
jacket, winter coat, pair of gloves | zipper, lining, hood, pocket, sleeve, insulation, fit | warm, waterproof, light, bulky | skiing, rainy days, walking the dog in winter | the zipper split, the lining tore, water came through

# Shoes 1.2 school like=Apparel
pair of running shoes, pair of sneakers | sole, arch support, toe box, lace, insole, heel, cushion, fit | comfortable, light, true to size, narrow | running, walking all day, the gym | the sole came off, the heel wore through, my toes went numb
pair of boots, pair of work boots | sole, zipper, leather, ankle, toe, heel, lining, tread | waterproof, warm, stiff, comfortable, sturdy | snow, the job site, hiking, rainy days | the sole split, the leather cracked, water came through
pair of sandals, pair of heels, pair of slippers | strap, heel, footbed, size, buckle, sole, fit | cute, comfortable, slippery, true to size | the beach, a wedding, walking around the house | the strap snapped, I got blisters, the buckle fell off

# Toys 1.4 gifts
building set, puzzle, board game | piece, instruction booklet, box, rule book, card, dice, picture, game board | fun, colourful, challenging, educational | family game night, a rainy afternoon, ages six and up | two pieces went missing, the box tore, the kids lost interest
doll, plush toy, action figure | hair, outfit, arm, face, stuffing, accessory, joint, costume | cuddly, adorable, small, detailed | a birthday present, pretend play, bedtime | the arm fell off, the stuffing came out, the paint rubbed off
remote control car, toy drone, train set | battery, remote, wheel, track, motor, propeller, antenna | fast, fun, fragile, easy to fly | the backyard, a boy of eight, Christmas morning | it would not charge, the wheel fell off, it crashed and broke

# Baby 1.0
stroller, car seat, baby carrier | strap, wheel, buckle, canopy, fabric, harness, handle, basket | sturdy, easy to fold, comfortable, heavy | the airport, my newborn, long walks | the wheel jammed, the buckle got stuck, the canopy ripped
bottle, pacifier, sippy cup | nipple, lid, valve, flow, handle, plastic, spout | leak proof, easy to wash, soft, easy to hold | my newborn, a picky baby, daycare | it leaked in the diaper bag, the nipple collapsed, the spout got chewed through
crib sheet, diaper bag, baby monitor | strap, pocket, zipper, camera, range, elastic, fabric, screen | soft, roomy, clear, cute | the nursery, travelling with a toddler, night feeding | the zipper broke, the picture froze, it shrank in the dryer

# Pet_Products 1.1
dog food, cat food, bag of treats | ingredient list, flavour, kibble, bag, smell, size, protein | grain free, crunchy, healthy, smelly | my picky cat, a senior dog, training | my dog got sick, the bag arrived torn, my cats refused to eat it
dog bed, scratching post, crate | cover, foam, zipper, door, latch, post, size, rope | sturdy, soft, washable, easy to assemble | my old Labrador, two cats, the car | my puppy chewed through it, the zipper broke, the post tipped over
leash, harness, collar, chew toy | clip, strap, buckle, squeaker, stitching, rubber, handle, size | strong, durable, adjustable, bright | walks, a heavy chewer, a strong puller | my dog tore it apart, the clip snapped, the squeaker died

# Grocery 1.1
coffee, box of coffee pods, tea | flavour, aroma, roast, aftertaste, bag, lid, leaf, blend | smooth, bitter, fresh, bold, weak | my morning cup, iced tea, the office | it tasted stale, the pods leaked, the bag came open
box of chocolate, bag of nuts, snack bar | taste, texture, flavour, packaging, coating, salt, serving size, expiry date | delicious, crunchy, sweet, stale, chewy | a snack at work, the lunch box, a gluten free diet | it melted on the way, the nuts tasted rancid, the bars went hard
olive oil, spice, hot sauce, gluten free flour | flavour, aroma, bottle, label, heat, cap, ingredient list, texture | fresh, spicy, organic, bland | salads, baking bread, marinades, chili | the bottle leaked, I found bugs in the bag, it lost its flavour

# Automotive 1.1 summer
set of floor mats, seat cover, steering wheel cover | fit, strap, colour, material, clip, hook, stitching, edge | durable, easy to clean, snug, cheap looking | my truck, the back seat, winter slush | the edges curled up, the strap tore, it slid under the pedal
wiper blade, headlight bulb, air filter | rubber, connector, housing, beam, fit, bracket, seal, bulb | bright, streak free, easy to install, quiet | my Honda, night driving, heavy rain | it streaked across the windshield, the bulb burned out, moisture got into the housing
car wax, jump starter, tire gauge, dash camera | shine, clamp, battery, gauge, display, mount, cable, finish | easy to use, accurate, glossy, compact | the trunk, my motorcycle, emergencies on the road | the mount fell off the windshield, the battery would not hold a charge, the gauge read wrong

# Sports 1.0 summer
yoga mat, set of dumbbells, resistance band | grip, surface, handle, thickness, smell, coating, band, weight | non slip, heavy, sturdy, thick | home workouts, physical therapy, stretching | the band snapped, the surface peeled, the handle came loose
tent, sleeping bag, hiking backpack | zipper, pole, strap, rain fly, seam, pocket, stuff sack | light, waterproof, roomy, warm, easy to set up | camping, a weekend hike, scout trips | the pole broke, water came through, the zipper split
bicycle helmet, bike light, water bottle | strap, mount, battery, visor, lid, spout, beam, padding | bright, light, comfortable, leak proof | my commute, mountain biking, training rides | the mount broke, the strap came loose, it leaked in my bag

# Lawn_and_Garden 0.9 spring
garden hose, sprinkler, nozzle | connector, nozzle, coil, fitting, pressure, thread, washer | light, kink free, strong, easy to store | watering the lawn, the flower beds, washing the patio | it sprang a leak, the fitting cracked, the hose burst
grill cover, patio heater, fire pit | fabric, burner, leg, strap, vent, grate, igniter, finish | heavy duty, waterproof, warm, sturdy | the backyard, summer barbecues, the patio | the seam ripped in the wind, rust spots showed up, the igniter failed
bird feeder, mouse trap, weed killer | perch, spring, bait, seed tray, nozzle, lid, pole, spray | effective, squirrel proof, easy to fill, useless | hummingbirds, the garage, dandelions | the squirrels chewed it open, the weeds came back, the mice ate the bait

# Office_Products 1.0 school
printer, ink cartridge, label maker | ink, paper tray, print quality, cartridge, wireless setup, chip, scanner, toner | sharp, fast, cheap to run, easy to set up | the home office, shipping labels, photos | the printer rejected the cartridge, the paper jammed, the ink ran dry
pen, set of markers, notebook, planner | tip, ink, paper, binding, cover, grip, page, colour | smooth, bright, thick, refillable | taking notes, my classroom, journaling | the ink dried out, it bled through the page, the spine cracked
desk chair, file cabinet, paper shredder | wheel, armrest, drawer, lock, blade, seat, back, motor | sturdy, comfortable, quiet, easy to assemble | long days at the desk, tax papers, a small office | the wheel broke, the drawer jammed, the motor burned out

# Software 0.7 school
antivirus program, backup software | installation, licence key, scan, update, interface, disc, support line, subscription | easy to install, slow, reliable, confusing | protecting my computer, three PCs, backing up photos | my computer slowed to a crawl, the licence key was rejected, it crashed
tax program, accounting software | interview, import, form, state module, interface, e-file, upgrade, support line | easy to follow, expensive, accurate, buggy | doing my taxes, a small business, tracking expenses | the state return failed, the update erased my data, it would not import last year
photo editor, language course, typing tutor | lesson, tool palette, tutorial, interface, disc, filter, export | intuitive, powerful, outdated, fun | editing photos, learning Spanish, beginners | it froze during export, the disc would not install, it stopped launching

# Digital_Software 0.8 school like=Software
antivirus download, security suite | download, activation code, scan, update, interface, subscription, renewal | easy to install, slow, reliable, confusing | protecting my laptop, three PCs, a new computer | the activation code was rejected, the download failed, my computer slowed to a crawl
tax download, accounting software | interview, import, form, state download, interface, e-file, download, support chat | easy to follow, expensive, accurate, buggy | doing my taxes, self employed people, filing late | the state download failed, it would not import last year, the update crashed
office suite, operating system download | download, product key, template, spreadsheet, account, installation, upgrade | intuitive, instant, overpriced, familiar | school work, my new laptop, writing letters | the product key was already used, the download stalled, I needed a refund

# Musical_Instruments 0.8
guitar, ukulele, bass | neck, string, tuner, action, finish, pickup, fret, bridge | warm, easy to play, bright, well built | beginners, practice at home, a gig | a string snapped, the tuner slipped, the neck warped
microphone, audio interface, guitar cable | jack, preamp, stand, plug, capsule, gain, shielding, sound | clear, noise free, sturdy, warm | home recording, podcasts, live shows | it began to hum, the jack came loose, the sound cut out
keyboard stand, drum stick, music stand, guitar strap | leg, clutch, knob, leather, buckle, tip, balance, height adjustment | sturdy, light, adjustable, wobbly | rehearsal, my drum kit, small stages | the knob stripped, the tip chipped, the leg collapsed
"""


_FLAWS: Final = frozenset((
    "predictable", "dry", "dense", "slow", "overrated", "repetitive", "boring", "overproduced", "crackly", "tinny",
    "loud", "short", "slippery", "bulky", "thin", "flimsy", "lumpy", "greasy", "chalky", "see through", "tight",
    "heavy", "narrow", "stiff", "fragile", "smelly", "bitter", "weak", "stale", "bland", "cheap looking", "useless",
    "confusing", "expensive", "buggy", "outdated", "overpriced", "wobbly", "steamy", "creepy", "chewy", "hot",
))  # fmt: skip
_ANY_FLAWS: Final = ("flimsy", "too small", "overpriced", "badly made", "disappointing", "not as pictured")


def _type(line: str) -> ProductType:
    nouns, parts, qualities, uses, faults = map(_phrases, line.split("|"))
    flaws = tuple(phrase for phrase in qualities if phrase in _FLAWS)
    wanted = tuple(phrase for phrase in qualities if phrase not in _FLAWS)
    return ProductType(nouns, parts, wanted, flaws + _ANY_FLAWS, uses, faults)


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(","))


def _parse(shelf: str) -> tuple[Category, ...]:
    categories = []
    for block in shelf.strip().split("\n\n"):
        title, *lines = block.split("\n")
        name, weight, *rest = title.removeprefix("# ").split()
        like = next((word.removeprefix("like=") for word in rest if word.startswith("like=")), "")
        season = next((word for word in rest if not word.startswith("like=")), "")
        types = tuple(_type(line) for line in lines)
        categories.append(Category(name, float(weight), season, types, like))
    return tuple(categories)


CATEGORIES: Final = _parse(_SHELF)

# Months January to December: relative number of reviews.
SEASONS: Final = {
    "": (1.0,) * 12,
    "gifts": (1.6, 1.0, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.9, 1.2, 1.9),
    "spring": (0.4, 0.5, 1.0, 1.6, 2.0, 1.8, 1.4, 1.0, 0.7, 0.5, 0.4, 0.4),
    "summer": (0.7, 0.7, 0.9, 1.1, 1.4, 1.6, 1.6, 1.3, 1.0, 0.8, 0.6, 0.7),
    "school": (1.1, 1.0, 0.9, 0.9, 0.9, 0.8, 0.9, 1.4, 1.4, 1.0, 1.0, 1.1),
}

BRAND_STARTS: Final = (
    "Al", "Bren", "Cor", "Dal", "El", "Fen", "Gar", "Hol", "Iv", "Jor", "Kel", "Lum", "Mar", "Nor",
    "Or", "Pel", "Quin", "Ros", "Sil", "Tor", "Ul", "Ver", "Wes", "Yar", "Zan",
)  # fmt: skip
BRAND_ENDS: Final = (
    "aro", "bury", "cliff", "den", "elle", "ford", "gate", "hurst", "ia", "kin", "low", "mont", "nova",
    "ora", "port", "rise", "son", "tech", "ura", "vale", "wood", "ya",
)  # fmt: skip
TITLE_EXTRAS: Final = (
    "", "", "", ", Black", ", White", ", Blue", ", Red", ", Large", ", Small", ", Pack of 2", ", Set of 3",
    " (New Version)", ", Deluxe Edition", ", Classic", ", 2nd Edition", " for Beginners", ", Value Pack",
)  # fmt: skip
