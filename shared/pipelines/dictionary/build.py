#!/usr/bin/env python3
"""Builds brands.z, the dictionary of merchants: python3 build.py

Needs npm and pip, for the packages below; their licences are in licences/. The file is a zlib stream of lines of text, fields
separated by tabs, lists by "|":

    m  MCC  description                                     a merchant category (iso18245)
    l  suffix                                               a legal suffix (cleanco)
    b  name  MCC  Wikidata id  rank  aliases                a brand; MCC and id may be empty; rank 0 is the best known
    u  name                                                 an operator that is no brand: for tests of unknown merchants

Names are as their sources write them: who reads the file folds them, by the same code that folds descriptors.
"""
import csv, io, json, pathlib, re, subprocess, sys, tarfile, tempfile, unicodedata, zipfile, zlib

NPM = {"name-suggestion-index": "8.0.20260918", "simple-icons": "16.37.0"}
PYPI = {"iso18245": "1.4.1", "cleanco": "2.3"}
HERE = pathlib.Path(__file__).parent

# What OpenStreetMap calls a shop, and what card schemes do.
MCC = """
amenity/atm 6011
amenity/bank 6012
amenity/fast_food 5814
amenity/restaurant 5812
amenity/cafe 5814
amenity/pub 5813
amenity/bar 5813
amenity/ice_cream 5451
amenity/food_court 5812
amenity/fuel 5541
amenity/charging_station 5541
man_made/charge_point 5541
amenity/pharmacy 5912
amenity/cinema 7832
amenity/car_wash 7542
amenity/car_rental 7512
amenity/car_sharing 7512
amenity/bicycle_rental 7999
amenity/parking 7523
amenity/post_office 9402
amenity/parcel_locker 4215
amenity/post_depot 4215
amenity/dentist 8021
amenity/doctors 8011
amenity/clinic 8099
amenity/hospital 8062
amenity/veterinary 0742
amenity/kindergarten 8351
amenity/childcare 8351
amenity/school 8211
amenity/college 8220
amenity/university 8220
amenity/language_school 8299
amenity/prep_school 8299
amenity/training 8299
amenity/driving_school 8299
amenity/music_school 8299
amenity/money_transfer 4829
amenity/bureau_de_change 6051
amenity/payment_terminal 6012
amenity/payment_centre 6012
amenity/casino 7995
amenity/gambling 7995
amenity/internet_cafe 4816
amenity/vending_machine 5499
amenity/vehicle_inspection 7538
amenity/photo_booth 7221
shop/clothes 5651
shop/fashion_accessories 5699
shop/shoes 5661
shop/bag 5948
shop/leather 5948
shop/supermarket 5411
shop/convenience 5499
shop/kiosk 5499
shop/greengrocer 5499
shop/health_food 5499
shop/frozen_food 5499
shop/deli 5499
shop/dairy 5451
shop/cheese 5451
shop/butcher 5422
shop/seafood 5422
shop/bakery 5462
shop/pastry 5462
shop/confectionery 5441
shop/chocolate 5441
shop/nuts 5441
shop/coffee 5499
shop/tea 5499
shop/alcohol 5921
shop/wine 5921
shop/beverages 5921
shop/car_repair 7538
shop/car_parts 5533
shop/car 5511
shop/truck 5511
shop/tyres 5532
shop/motorcycle 5571
shop/bicycle 5940
shop/boat 5551
shop/furniture 5712
shop/bed 5712
shop/kitchen 5712
shop/interior_decoration 5719
shop/houseware 5719
shop/household_linen 5719
shop/curtain 5714
shop/carpet 5713
shop/flooring 5713
shop/tiles 5211
shop/electronics 5732
shop/hifi 5732
shop/computer 5732
shop/mobile_phone 4812
shop/mobile_phone_accessories 4812
shop/telecommunication 4814
office/telecommunication 4814
shop/appliance 5722
shop/video_games 5945
shop/games 5945
shop/toys 5945
shop/model 5945
shop/anime 5945
shop/craft 5970
shop/art 5971
shop/optician 8043
shop/hearing_aids 5975
shop/doityourself 5200
shop/hardware 5251
shop/trade 5211
shop/paint 5231
shop/garden_centre 5261
shop/florist 5992
shop/books 5942
shop/stationery 5943
shop/newsagent 5994
shop/copyshop 7338
shop/jewelry 5944
shop/watches 5944
shop/estate_agent 7399
office/estate_agent 7399
shop/department_store 5311
shop/mall 5311
shop/general 5399
shop/variety_store 5331
shop/wholesale 5300
shop/catalogue 5964
shop/country_store 5399
shop/chemist 5912
shop/cosmetics 5999
shop/perfumery 5999
shop/nutrition_supplements 5499
shop/medical_supply 5047
shop/herbalist 5499
shop/sports 5941
shop/outdoor 5941
shop/fishing 5941
shop/hairdresser 7230
shop/beauty 7230
shop/hairdresser_supply 7230
shop/massage 7297
shop/tattoo 7299
shop/pet 5995
shop/travel_agency 4722
shop/laundry 7211
shop/dry_cleaning 7216
shop/tailor 5697
shop/shoe_repair 7251
shop/charity 5931
shop/second_hand 5931
shop/pawnbroker 5933
shop/money_lender 6012
shop/bookmaker 7995
shop/lottery 7995
shop/baby_goods 5641
shop/gift 5947
shop/party 5947
shop/storage_rental 4225
shop/tool_hire 7394
shop/plant_hire 7394
shop/rental 7394
shop/e-cigarette 5993
shop/tobacco 5993
shop/cannabis 5993
shop/musical_instrument 5733
shop/music 5735
shop/video 7841
shop/photo 7221
shop/camera 5946
shop/ticket 7922
shop/funeral_directors 7261
shop/electrical 5065
shop/fabric 5949
shop/gas 5983
shop/erotic 5999
office/insurance 6300
office/financial 6012
office/financial_advisor 6211
office/tax_advisor 7276
office/lawyer 8111
office/employment_agency 7361
office/coworking 7399
office/security 7393
office/moving_company 4214
office/logistics 4214
office/it 7372
leisure/fitness_centre 7997
leisure/sports_centre 7941
leisure/bowling_alley 7933
leisure/amusement_arcade 7994
leisure/adult_gaming_centre 7995
leisure/trampoline_park 7999
leisure/indoor_play 7999
leisure/escape_game 7999
leisure/dance 7911
tourism/hotel 7011
tourism/hostel 7011
tourism/motel 7011
tourism/caravan_site 7033
tourism/theme_park 7996
healthcare/laboratory 8071
healthcare/sample_collection 8071
healthcare/physiotherapist 8099
healthcare/audiologist 5975
highway/services 5541
craft/electronics_repair 7629
craft/cleaning 7349
"""
MCC = dict(line.split() for line in MCC.split("\n") if line)

# Not where cards are used: the same brands are there as shops too.
SKIPPED = re.compile(r"brands/(advertising|landuse|club|waterway|emergency)/|/(public_bookcase|recycling|waste_basket|trolley_bay"
                     r"|bicycle_parking|food_sharing|social_facility|political_party|union|scout|mortuary|weighbridge|telephone|dog_park"
                     r"|fitness_station|playground|information|government|association)$")
# Of a brand in several categories, one of these is named last.
MINOR = {"amenity/atm", "amenity/charging_station", "man_made/charge_point", "amenity/parcel_locker", "amenity/vending_machine",
         "amenity/bicycle_rental", "amenity/payment_terminal", "shop/outpost", "amenity/car_wash", "shop/gas", "amenity/cafe",
         "shop/pastry", "shop/kiosk", "amenity/payment_centre", "amenity/post_depot", "shop/car_repair"}


def packages(into):
    for name, version in NPM.items():
        subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=into, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(into.glob(f"{name}-*.tgz"))) as archive:
            archive.extractall(into / name, filter="data")
    for name, version in PYPI.items():
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", into, f"{name}=={version}"], check=True)
        zipfile.ZipFile(next(into.glob(f"{name}-*.whl"))).extractall(into / name)


def fold(name):
    name = unicodedata.normalize("NFKD", name).casefold()
    return "".join(char for char in name if char.isalnum())


def clean(text):
    return re.sub(r"[\t|\n]", " ", text).strip()


class Brand:
    def __init__(self, name, mcc, wikidata, rank, aliases):
        self.name, self.mcc, self.wikidata, self.rank, self.aliases = name, mcc, wikidata, rank, aliases


class Brands:
    """Brands by their folded names: the first one to bring a name has it, later ones add what it lacks."""

    def __init__(self):
        self.by_name = {}

    def add(self, name, mcc, wikidata, rank, aliases):
        name, key = clean(name), fold(name)
        if not key or key.isdigit() and len(key) < 3 and rank > 0:
            return
        brand = self.by_name.setdefault(key, Brand(name, mcc, wikidata, rank, {}))
        brand.mcc, brand.wikidata, brand.rank = brand.mcc or mcc, brand.wikidata or wikidata, min(brand.rank, rank)
        for alias in map(clean, aliases):
            if fold(alias) and fold(alias) != key:
                brand.aliases.setdefault(fold(alias), alias)


def known(brands):
    """Written by hand: merchants that neither source has, and what card descriptors make of their names."""
    for row in csv.DictReader((HERE / "known.tsv").open(encoding="utf-8"), delimiter="\t"):
        brands.add(row["name"], row["mcc"] or "", row["wikidata"] or "", 0, [a for a in (row["aliases"] or "").split("|") if a])


def name_suggestion_index(brands, package):
    trees = json.loads((package / "dist/json/nsi.min.json").read_text(encoding="utf-8"))["nsi"]
    found = []
    for path, category in trees.items():
        if not path.startswith("brands/") or SKIPPED.search(path):
            continue
        kind = path.removeprefix("brands/")
        for item in category["items"]:
            tags = item["tags"]
            worldwide = "001" in item["locationSet"].get("include", [])
            found.append((kind in MINOR, 1 if worldwide else 2, kind, item, tags))
    found.sort(key=lambda entry: (entry[0], entry[1]))
    for minor, rank, kind, item, tags in found:
        name = tags.get("brand") or tags.get("name") or item["displayName"]
        english = tags.get("brand:en") or tags.get("name:en")
        also = [tags.get(tag) for tag in ("name", "short_name", "alt_name", "official_name", "brand:en", "name:en")]
        if english and not name.isascii() and not re.search(r"[a-z]", fold(name)):
            name, also = english, also + [name]
        aliases = [part for alias in also if alias for part in alias.split(";")] + item.get("matchNames", [])
        brands.add(name, MCC.get(kind, ""), tags.get("brand:wikidata", ""), rank, aliases)
    return {fold(item["tags"].get("operator", "")): item["tags"]["operator"]
            for path, category in trees.items() if path.startswith("operators/") for item in category["items"]
            if item["tags"].get("operator")}


def simple_icons(brands, package):
    """Companies of the net. Free software has no till: what is licensed as such, or lives on a forge, is left out."""
    for icon in json.loads((package / "data/simple-icons.json").read_text(encoding="utf-8")):
        licence = icon.get("license", {}).get("type", "")
        if re.match("GPL|AGPL|MIT|Apache|BSD|MPL|Unlicense|CC-BY", licence) or re.search(r"git(hub|lab)\.|codeberg|\.js$|\.io$", icon["source"]
                                                                                          + icon["title"]):
            continue
        names = icon.get("aliases", {})
        aliases = names.get("aka", []) + names.get("old", []) + list(names.get("loc", {}).values())
        brands.add(icon["title"], "", "", 3, aliases)


def merchant_categories(package):
    """Those of the standard, and those that Visa has beside it."""
    found = {}
    for table in ("iso18245_official_list", "visa_list"):
        for row in csv.DictReader((package / f"iso18245/data/{table}.csv").open(encoding="utf-8")):
            found.setdefault(row["MCC"], clean(row["DESCRIPTION"]))
    return sorted(found.items())


def legal_suffixes(package):
    scope = {}
    exec((package / "cleanco/termdata.py").read_text(encoding="utf-8"), scope)
    terms = {term for group in scope["terms_by_type"].values() for term in group}
    terms |= {term for group in scope["terms_by_country"].values() for term in group}
    return sorted(term.strip() for term in terms if term.isascii() and len(fold(term)) > 1)


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        packages(folder)
        brands = Brands()
        known(brands)
        operators = name_suggestion_index(brands, folder / "name-suggestion-index/package")
        simple_icons(brands, folder / "simple-icons/package")
        names = {key for brand in brands.by_name.values() for key in (fold(brand.name), *brand.aliases)}
        strangers = [clean(name) for key, name in sorted(operators.items()) if key and key not in names and name.isascii()]
        out = io.StringIO()
        for code, description in merchant_categories(folder / "iso18245"):
            out.write(f"m\t{code}\t{description}\n")
        for suffix in legal_suffixes(folder / "cleanco"):
            out.write(f"l\t{suffix}\n")
        for key in sorted(brands.by_name):
            brand = brands.by_name[key]
            aliases = "|".join(brand.aliases[alias] for alias in sorted(brand.aliases))
            out.write(f"b\t{brand.name}\t{brand.mcc}\t{brand.wikidata}\t{brand.rank}\t{aliases}\n")
        for name in strangers[::6]:
            out.write(f"u\t{name}\n")
    text = out.getvalue().encode()
    (HERE / "brands.z").write_bytes(zlib.compress(text, 9))
    aliases = sum(len(brand.aliases) for brand in brands.by_name.values())
    print(f"{len(brands.by_name)} brands, {aliases} aliases, {len(strangers[::6])} strangers, {len(text)} bytes")


main()
