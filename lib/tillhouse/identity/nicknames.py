"""Short and familiar forms of German first names, so that Sepp and Josef can be one person. Data only."""

from __future__ import annotations

from tillhouse.identity.normalise import fold

# Full names that are forms of one another, then what they are called; a short form may belong to several (Alex, Chris, Toni).
_FORMS = """
adalbert albert: bert berti albi
adelheid: heidi heide adele
albrecht: brecht bert
alexander: alex sascha sandro lex xander
alexandra: alex sandra sascha lexi alexa
alfred: fred freddy fredi
alois aloys aloisius: lois luis loisl
andreas: andi andy anderl andre
andrea: andi andy
angela angelika: angi geli gela angie
anna anne anja annika: anni anny annerl nanni aenne
annemarie annamaria: anne anna annemie annemarei
annette anette: anne netti
anton antonius: toni tony anderl
antonia antonie: toni tony antje
arthur: turi
august: gustl gusti
barbara: babs baerbel barbi betti wetti babsi
bartholomaeus: bartl barthel
beate beatrix beatrice: bea trixi
benedikt: bene benni dix
benjamin: ben benni benny
bernadette: detti berni
bernhard bernd: berni bernie hardi
bettina: betti tina
birgit birgitta brigitte: gitti gitte biggi britta brit
carolin caroline karoline karolin karolina carolina: caro karo lina line
cathrin katrin kathrin: kathi cati kati trine rini
charlotte: lotte lotti charly charlie
christian: chris christl christo
christina christine christiane kristina: chris tina christl christel stine kristin christin
christoph christopher: chris christof stoffel toffel
claudia: claudi claudie
claus klaus: klausi
konrad conrad: konni conny kuno kurt
cornelia: conny nelli corny nele
cornelius: conny
daniel: dani danny dan
daniela: dani danny ela
david: dave
dieter dietmar dietrich: didi dirk
dominik: domi nick dominic
dorothea dorothee: dora doris doro dorle thea
eberhard: ebi hardi eber
edeltraud: traudl traude edel
eduard: edi eddi eddie
eleonore eleonora: elli nora lore leni
elisabeth elisabet: lisa liesl lisl elli elsbeth else elke betti liese lisbeth bettina sissi sisi ilse elsa lilli beth lis elise
emanuel manuel: manu
manuela: manu ela
emil: milo
erhard: hardi
erich erik eric: eri
erika: eri ricki
ernst: ernstl erni
eva: evi evchen
felicitas: feli fee
ferdinand: ferdi fernand ferdl nando
florian: flo flori
franz franziskus: franzl franzi ferenc
franziska: franzi fanny sissi ziska fraenzi
friederike: rike riki fritzi frieda
friedrich: fritz fredi friedl fred
fridolin: frido fridl
gabriel: gabi
gabriele gabriela: gabi gaby ela
georg: schorsch schorschi girgl jorg jorgen juergen gerg
gerhard gerd gerhart: gerdi hardi gert geri
gerlinde: linde gerli lindi
gertrud gertrude: traudl trude gerti trudi
gisela: gisi gise
gottfried: friedl goetz
gregor: greg
guenther guenter gunther: guen
gudrun: gudi
gustav: gustl gusti
hannelore: hanne lore hanni
johann johannes: hans hannes hansi jo hansl john joni hanno johnny
hans: hansi hansl hannes
hansjoachim: hajo hans jochen
hansjuergen: hanjo hans
hanspeter: hape hans
harald: harry harri
heinrich: heinz heini hein henri henry heiner
heinz: heinzi
helene helena: leni lena hella
helga: helgi
helmut hellmut: heli helli
herbert: herb berti
hermann: manni hermi harm
hermine: minna hermi mina
hildegard: hilde hilda gardi
hubert hubertus: hubsi bertl hubi
ignaz: naz nazi iggi
ilona: ilo
ingeborg: inge borgi
ingrid: inge
irmgard irmingard: irmi irma gardi
isabella isabel isabelle isabell: isa bella belle
jakob jacob: jockel jaggi jack koebi jaki kobi
jennifer: jenny jenni
jessica jessika: jessi jessy
joachim: jo achim jochen jochim
johanna: hanna hanni jo hannah johanne
jonathan: jonny joni jon
josef joseph: sepp sepperl jupp peppi beppi jos jo pepi joschi seppi
josefine josephine josefa: fini sefa josi finni pepi
julia juliane juliana: jule juli julchen jana julie
julian julius: juli jule
karl carl: kalle charly karli
karlheinz: kalle kalli karl heinz
karin: kari
katharina katarina katharine: kathi kati kathrin katja kaethe katrin trine kate rina
kerstin: kersti
klemens clemens: klem menz
kreszenz: zenzi resi
kunigunde: gundi kuni
laurenz lorenz: lenz lorenzo enzo
leonhard leonard: leo hartl lenni leon
leopold: leo poldi
ludwig: lutz luggi wiggerl lui luki
lukas lucas: luki luk
magdalena magdalene: lena leni magda madeleine lene
manfred: manni fred fredi manny
margarete margareta margarethe margaretha: grete gretl gretel greta rita marga margit margret meta gretchen
maria marie: mitzi mia mizzi marei mimi
marianne: janne nanni anne marie
marietheres: resi marie
mario: mari
markus marcus: mark maxi marc
martha: martl
martin: martl marti tino
martina: tina marti
matthaeus: matze mathes
matthias mathias: matze hias hiasl matz mattes mats mathes hiesl thias
maximilian: max maxi maxl
mechthild: hilde mecki
melanie: mel melli meli
michael: michi michel mike micha michl mischa
michaela: michi ela micha michi
monika monica: moni nika mona
nadine: nadi
natalie nathalie: nati nata
nikolaus nicolaus niklas: klaus nick niko klausi nico nikki nigg
nicole: nicki niki nika
norbert: norbi nobbi bert bertl
ottilie: otti tilly
oskar: ossi
oswald: ossi
patricia: patti patty trisha pat
patrick patrik: pat
paul: pauli paule
pauline paula: pauli lina
peter: pit pete peterl
petra: peti
philipp philip: phil fips lipp
raimund raymund: mundl raini
rainer reiner: raini
rebekka rebecca: becky bekki
regina regine: gina regi gine
reinhard reinhardt: hardi reini
reinhold: holdi reini
renate: reni nate renata
richard: richi ricky rick hardi
robert: rob robbie robi bob bert bertl
roland: roli rolli
rosa: rosi roserl
rosemarie rosmarie rosamunde: rosi romy rosl mundl
rosina: rosi
rudolf rudolph: rudi rolf dolf ruedi
ruprecht rupert: rupi bertl
sabine: bine biene bini
samuel: sam sami samy
sebastian: basti wastl bastian seb
siegfried: sigi siggi friedl
sieglinde: linde sigi linda
sigmund siegmund: sigi mundl
sigrid: siggi sigi
silvia sylvia: silvi sylvi
silke: silki
simon: simmerl sim
simone: simi moni
sofia sophia sofie sophie: soffi fia sofi
stefan stephan steffen: steff stefferl steve
stefanie stephanie: steffi steffie fanny stefi
susanne susanna: susi sanne suse susann sanni
svenja: svenni
tamara: tami mara
theodor: theo teddy
theresa therese theresia teresa: resi resl tessa thea resa terri
thomas: tom tommy thommy toma
tobias: tobi
traugott: goettl
ulrich: uli ulli utz ueli
ulrike: uli ulli ricki rike
ursula: uschi ulla uli ursel urschl
ute: uta
valentin: valti veltl vale
valentina: vale tina
verena: vreni vroni rena
veronika: vroni vera roni
viktor victor: viki
viktoria victoria: vicky vicki tori viki
vinzenz vincent: vinz zenz vince
walburga: burgi wally burga
walter walther: waldi walti
waltraud waltraut: traudl traudi traude
werner: wernerl
wilhelm: willi willy helmut wim bill will wille
wilhelmine: mina minna willi wilma
wolfgang: wolfi wolf wolferl gangerl
wolfram: wolfi wolf
xaver: xaverl veri
yvonne: vonni
zacharias: zach
"""


def _read() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in _FORMS.strip().splitlines():
        full, short = (part.split() for part in line.split(":"))
        root = fold(full[0])
        for form in (*full, *short):
            found.setdefault(fold(form), {fold(form)}).add(root)
    return {form: frozenset(roots) for form, roots in found.items()}


_ROOTS = _read()


def roots(given: str) -> tuple[str, ...]:
    """What a folded first name may be short for, itself among them: two names with a root in common can be one person's."""
    return tuple(sorted(_ROOTS.get(given, {given})))
